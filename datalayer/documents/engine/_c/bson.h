/* BSON as it lies in memory (https://bsonspec.org): numbers, the types of elements, and the steps
   from one element to the next in a document that ``is_sound`` has passed. */

#ifndef DATALAYER_BSON_H
#define DATALAYER_BSON_H

#include <stdint.h>
#include <string.h>

enum bson_type {
    BSON_DOUBLE = 0x01,
    BSON_STRING = 0x02,
    BSON_DOCUMENT = 0x03,
    BSON_ARRAY = 0x04,
    BSON_BINARY = 0x05,
    BSON_OBJECT_ID = 0x07,
    BSON_BOOLEAN = 0x08,
    BSON_DATETIME = 0x09,
    BSON_NULL = 0x0A,
    BSON_INT32 = 0x10,
    BSON_TIMESTAMP = 0x11,
    BSON_INT64 = 0x12,
    BSON_DECIMAL128 = 0x13,
    BSON_MAX_KEY = 0x7F,
    BSON_MIN_KEY = 0xFF
};

#define BSON_SHORTEST 5 /* a length and the end: an empty document */
#define BSON_EARLIEST_MS (-62135596800000LL) /* year 1 */
#define BSON_LATEST_MS 253402300799999LL     /* year 9999 */

typedef const unsigned char *Bytes;

static inline uint32_t
bson_uint32(Bytes at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* BSON is little-endian, whatever the machine is. */
static inline void
bson_put_uint32(char *place, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        place[i] = (char)(value >> (8 * i));
}

static inline int32_t
bson_int32(Bytes at)
{
    return (int32_t)bson_uint32(at);
}

static inline int64_t
bson_int64(Bytes at)
{
    return (int64_t)((uint64_t)bson_uint32(at) | (uint64_t)bson_uint32(at + 4) << 32);
}

static inline double
bson_double(Bytes at)
{
    int64_t bits = bson_int64(at);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* How long the value of an element of this type is. */
static inline uint32_t
bson_value_size(unsigned char type, Bytes value)
{
    switch (type) {
    case BSON_STRING:
        return 4 + bson_uint32(value);
    case BSON_DOCUMENT:
    case BSON_ARRAY:
        return bson_uint32(value);
    case BSON_BINARY:
        return 5 + bson_uint32(value);
    case BSON_OBJECT_ID:
        return 12;
    case BSON_BOOLEAN:
        return 1;
    case BSON_INT32:
        return 4;
    case BSON_DECIMAL128:
        return 16;
    case BSON_NULL:
    case BSON_MAX_KEY:
    case BSON_MIN_KEY:
        return 0;
    default: /* a double, a datetime, a timestamp, an int64 */
        return 8;
    }
}

/* One element of a document. */
typedef struct {
    unsigned char type;
    Bytes key;
    size_t key_length;
    Bytes value;
} Element;

/* The element at ``at``; its type is 0 at the end of the document. */
static inline Element
bson_element(Bytes at)
{
    Element element = {at[0], at + 1, 0, at + 1};
    if (element.type) {
        element.key_length = strlen((const char *)element.key);
        element.value = element.key + element.key_length + 1;
    }
    return element;
}

static inline Bytes
bson_after(const Element *element)
{
    return element->value + bson_value_size(element->type, element->value);
}

static inline Bytes
bson_first(Bytes document)
{
    return document + 4;
}

#endif
