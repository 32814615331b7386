"""Parameters, optimizer and graph do not hold on to each other."""
