"""Coverage-guided fuzzing of everything that reads what strangers wrote, or what a crash left behind."""
