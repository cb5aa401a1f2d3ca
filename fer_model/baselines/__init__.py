"""Networks and handcrafted features that the paper's network is compared with, trained and tested as it is."""
