"""What a trained network has learned, as pictures: filters, attributions, inputs that excite a unit. torch and captum are imported here."""
