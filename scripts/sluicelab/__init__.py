"""What the lab tests, the benchmarks and the soak share: the lab's network, processes in it, and the dispatcher's figures."""
