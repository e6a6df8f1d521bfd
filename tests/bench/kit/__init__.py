"""What benches share: a cell, a sender, meters, tables."""
