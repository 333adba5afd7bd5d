"""Where frames come from: one provider for each kind of source."""
