"""What measures the push workers: a worker of its own on loopback, a swarm of devices, a full store, a profile."""
