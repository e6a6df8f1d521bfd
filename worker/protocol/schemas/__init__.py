"""PURE: JSON Schemas of what crosses the wire, and the AsyncAPI document that says where. Made from the code itself."""
