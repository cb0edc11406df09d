"""What the watchdog observes, a module for each sense."""
