"""The formats of image sets: each finds its files and reads them."""
