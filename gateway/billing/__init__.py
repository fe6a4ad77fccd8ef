"""What a care act costs and who pays: dated tables and the rate engine. Pure."""
