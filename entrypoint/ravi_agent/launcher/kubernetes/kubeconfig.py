"""Where the cluster is: the kubeconfig, or what Kubernetes gives a pod."""

from kubernetes import client, config

from ravi_agent.errors import UsageError


def load(configuration: client.Configuration, config_file: str | None, context: str | None) -> str:
    """Read the kubeconfig, else what Kubernetes gives a pod; the namespace it names."""
    try:
        contexts, current = config.list_kube_config_contexts(config_file)
        config.load_kube_config(config_file, context, client_configuration=configuration)
    except (config.ConfigException, OSError) as exc:
        return _load_incluster(configuration, context, " ".join(str(exc).split()))
    chosen = current if context is None else next(one for one in contexts if one["name"] == context)
    return str(chosen["context"].get("namespace") or "default")


def _load_incluster(configuration: client.Configuration, context: str | None, why: str) -> str:
    try:
        if context is not None:
            raise config.ConfigException(why)
        config.load_incluster_config(client_configuration=configuration)
        with open(
            "/var/run/secrets/kubernetes.io/serviceaccount/namespace", encoding="ascii"
        ) as file:
            return file.read().strip()
    except (config.ConfigException, OSError) as exc:
        raise UsageError(
            "no Kubernetes cluster" if context is None else f"--context {context!r}",
            why,
            "kubectl config get-contexts, and set KUBECONFIG or --context",
        ) from exc
