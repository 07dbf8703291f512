"""`vtt doctor`: what this installation has, what it lacks, and what to do about it. It changes nothing and starts nothing."""
