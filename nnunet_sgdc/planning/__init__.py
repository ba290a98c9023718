"""The command that plans and preprocesses with our planners."""
