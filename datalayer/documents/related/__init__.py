"""What belongs to documents and is stored beside them, in any database.

``files``, ``file_fields``, ``gridfs``: files; ``sequences``: numbers; ``references``: other
documents. ``field_replacement``: how a class gets such fields; ``owner_alias``: where it all goes;
``before_save``: what is seen to first; ``embedded``: walks through embedded documents.
"""
