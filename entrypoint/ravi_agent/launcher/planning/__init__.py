"""What a run is to be, checked whole before anything is started."""
