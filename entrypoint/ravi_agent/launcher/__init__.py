"""What runs on the host: a plan of agents, and the engines that carry it out."""
