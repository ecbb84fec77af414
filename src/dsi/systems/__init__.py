"""What can be put on the hosts and looked after: one room per system."""
