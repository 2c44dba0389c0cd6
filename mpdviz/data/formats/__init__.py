"""What files data sets are made of and how they are read: archives, idx, pictures, events, arrays."""
