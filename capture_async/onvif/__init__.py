"""ONVIF: SOAP messages, WS-Security, and the address of a camera's snapshot."""
