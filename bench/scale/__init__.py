"""What a large run on Kubernetes takes of its launcher: a real control plane, nodes of KWOK."""
