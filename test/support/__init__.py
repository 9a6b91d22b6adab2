"""What tests of several rooms use: a robot that talks to a node, small models and data sets."""
