"""How is a fact learnt? ``gather`` asks for all of one database: ``network`` (name, TCP, TLS by
``tls``, first ``hello``), then ``server`` by the driver (``client``, ``pipelines``)."""
