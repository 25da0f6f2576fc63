"""From annotation files and videos to training samples: AVA, Kinetics, Charades; and a rendered world."""
