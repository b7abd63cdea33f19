"""Writing predictions and looking at them."""
