"""The outside world behind the ports: adapters translate and decide nothing."""
