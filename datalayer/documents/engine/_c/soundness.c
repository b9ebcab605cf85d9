/* Whether bytes are a whole document that the other files may walk through without looking at
   bounds: nothing in here calls Python.

   What is malformed isn't sound, nor is what the ``bson`` package would refuse (text that isn't
   UTF-8, times beyond the year 9999), nor values of kinds so rare that they are left to it
   altogether. Whoever finds a document not sound hands it to ``bson``, for the value or the error. */

#include "core.h"

/* How many bytes of well-formed UTF-8 begin at ``at``, which isn't ASCII; 0 for none. */
static size_t
utf8_length(Bytes at, size_t room)
{
    unsigned char first = at[0];
    size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
    if (first < 0xC2 || first > 0xF4 || length > room)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xC0) != 0x80)
            return 0;
    if ((first == 0xE0 && at[1] < 0xA0) || (first == 0xED && at[1] > 0x9F) ||
        (first == 0xF0 && at[1] < 0x90) || (first == 0xF4 && at[1] > 0x8F))
        return 0; /* longer than it need be, a surrogate, or past the last character */
    return length;
}

static int
is_utf8(Bytes at, size_t room)
{
    while (room) {
        uint64_t eight;
        for (; room >= sizeof(eight); at += sizeof(eight), room -= sizeof(eight)) {
            memcpy(&eight, at, sizeof(eight));
            if (eight & 0x8080808080808080ULL)
                break;
        }
        for (; room && *at < 0x80; at++)
            room--;
        if (room) {
            size_t length = utf8_length(at, room);
            if (length == 0)
                return 0;
            at += length;
            room -= length;
        }
    }
    return 1;
}

static size_t
sound_text(Bytes value, size_t room)
{
    if (room < 5)
        return 0;
    uint32_t length = bson_uint32(value); /* with the NUL at its end */
    if (length < 1 || length > room - 4 || value[4 + length - 1] || !is_utf8(value + 4, length - 1))
        return 0;
    return 4 + (size_t)length;
}

static size_t
sound_binary(Bytes value, size_t room)
{
    if (room < 5)
        return 0;
    uint32_t length = bson_uint32(value);
    unsigned char subtype = value[4];
    int is_uuid = subtype == 3 || subtype == 4;
    if (length > room - 5 || subtype == 2 || (is_uuid && length != 16))
        return 0;
    return 5 + (size_t)length;
}

static int
is_in_range(int64_t milliseconds)
{
    return BSON_EARLIEST_MS <= milliseconds && milliseconds <= BSON_LATEST_MS;
}

/* How deep one looks: what lies deeper is either refused, or taken by its length. */
typedef struct {
    int levels, trusts;
} Depth;

static size_t sound_document(Bytes document, size_t room, Depth depth, int level, int is_array);

/* How long the value at ``value`` is, plus 1; 0 where it isn't sound. */
static size_t
sound_value(unsigned char type, Bytes value, size_t room, Depth depth, int level)
{
    size_t size = 0;
    switch (type) {
    case BSON_NULL:
    case BSON_MAX_KEY:
    case BSON_MIN_KEY:
        return 1;
    case BSON_STRING:
        size = sound_text(value, room);
        break;
    case BSON_DOCUMENT:
    case BSON_ARRAY:
        size = sound_document(value, room, depth, level + 1, type == BSON_ARRAY);
        break;
    case BSON_BINARY:
        size = sound_binary(value, room);
        break;
    case BSON_BOOLEAN:
        size = room >= 1 && value[0] <= 1;
        break;
    case BSON_DATETIME:
        size = room >= 8 && is_in_range(bson_int64(value)) ? 8 : 0;
        break;
    case BSON_DOUBLE:
    case BSON_INT64:
    case BSON_TIMESTAMP:
        size = 8;
        break;
    case BSON_INT32:
        size = 4;
        break;
    case BSON_OBJECT_ID:
        size = 12;
        break;
    case BSON_DECIMAL128:
        size = 16;
        break;
    }
    return size && size <= room ? size + 1 : 0;
}

static size_t
sound_document(Bytes document, size_t room, Depth depth, int level, int is_array)
{
    if (room < BSON_SHORTEST)
        return 0;
    size_t size = bson_uint32(document);
    if (size < BSON_SHORTEST || size > room)
        return 0;
    if (level > depth.levels)
        return depth.trusts ? size : 0;
    Bytes at = bson_first(document), last = document + size - 1;
    while (at < last) {
        unsigned char type = *at++;
        Bytes end = at;
        unsigned char bits = 0;
        while (end < last && *end) /* keys are short: quicker than memchr() and is_utf8() */
            bits |= *end++;
        if (end == last || (bits >= 0x80 && !is_array && !is_utf8(at, (size_t)(end - at))))
            return 0;
        at = end + 1;
        size_t taken = sound_value(type, at, (size_t)(last - at), depth, level);
        if (taken == 0)
            return 0;
        at += taken - 1;
    }
    return at == last && *last == 0 ? size : 0;
}

/* Whether ``document`` is one, sound, and all of the ``room`` bytes. */
int
is_sound(Bytes document, size_t room)
{
    const Depth whole = {MOST_LEVELS, 0};
    return 0 < room && room <= INT32_MAX && sound_document(document, room, whole, 1, 0) == room;
}

/* Whether a server's reply is sound, without a look into the documents of the batch in it. */
int
has_sound_frame(Bytes reply, size_t room)
{
    const Depth frame = {3, 1}; /* the reply, its cursor, the batch */
    return 0 < room && room <= INT32_MAX && sound_document(reply, room, frame, 1, 0) == room;
}
