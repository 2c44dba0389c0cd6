"""The command line of mpdviz: parse, call the library, print or write."""
