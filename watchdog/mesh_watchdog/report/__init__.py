"""What is believed and was done, for people, Prometheus and systemd."""
