#include "common/chat/invite.h"

#include <stdio.h>
#include <string.h>

#define INVITE_SCHEME_TEXT "countersign://"

uint32_t crc24(struct span s)
{
    uint32_t crc = 0xb704ce;

    for (size_t i = 0; i < s.n; i++) {
        crc ^= (uint32_t)s.p[i] << 16;
        for (int bit = 0; bit < 8; bit++)
            crc = crc << 1 ^ (crc & 0x800000 ? 0x1864cfbu : 0);
    }
    return crc & 0xffffff;
}

const char *invite_fault_text(enum invite_fault f)
{
#define X(id, text) text,
    static const char *const texts[] = {INVITE_FAULTS(X)};
#undef X
    return texts[f];
}

/* --- hosts --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z');
}

static bool ipv4_ok(struct str s)
{
    uint64_t part;

    for (int i = 0; i < 4; i++) {
        if (str_u64(str_cut(&s, '.'), 255, &part) < 0 || (s.p == NULL) != (i == 3))
            return false;
    }
    return true;
}

/* One to four hex digits in lower case. */
static bool group_ok(struct str s)
{
    if (s.n < 1 || s.n > 4)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit(s.p[i]) && !(s.p[i] >= 'a' && s.p[i] <= 'f'))
            return false;
    }
    return true;
}

/* Groups between colons; -1 when one is none. A dotted IPv4 address may be the last two. */
static int groups_count(struct str s, bool last_part)
{
    int n = 0;

    if (s.n == 0)
        return 0;
    while (s.p != NULL) {
        struct str g = str_cut(&s, ':');
        if (last_part && s.p == NULL && ipv4_ok(g))
            n += 2;
        else if (group_ok(g))
            n++;
        else
            return -1;
    }
    return n;
}

/* RFC 4291 2.2, lower case; no zone. */
static bool ipv6_ok(struct str s)
{
    const char *gap = NULL;

    for (size_t i = 0; i + 1 < s.n && gap == NULL; i++)
        gap = s.p[i] == ':' && s.p[i + 1] == ':' ? s.p + i : NULL;
    if (gap == NULL)
        return groups_count(s, true) == 8;
    size_t before = (size_t)(gap - s.p);
    int left = groups_count(str_from(s.p, before), false);
    int right = groups_count(str_from(gap + 2, s.n - before - 2), true);
    return left >= 0 && right >= 0 && left + right <= 7;
}

static bool label_ok(struct str s)
{
    if (s.n < 1 || s.n > 63 || s.p[0] == '-' || s.p[s.n - 1] == '-')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_alnum(s.p[i]) && s.p[i] != '-')
            return false;
    }
    return true;
}

/* What ends in a number is an address or nothing (WHATWG URL 3.5). */
static bool dns_ok(struct str s)
{
    struct str label = {NULL, 0};
    bool number = true;

    if (s.n > RELAY_NAME_MAX)
        return false;
    while (s.p != NULL) {
        label = str_cut(&s, '.');
        if (!label_ok(label))
            return false;
    }
    for (size_t i = 0; i < label.n; i++)
        number = number && is_digit(label.p[i]);
    return !number;
}

bool host_ok(struct str host)
{
    if (host.n == 0)
        return false;
    if (memchr(host.p, ':', host.n) != NULL)
        return ipv6_ok(host);
    return ipv4_ok(host) || dns_ok(host);
}

/* --- the line --- */

static struct str trim(struct str s)
{
    while (s.n > 0 && memchr(" \t\r\n", s.p[0], 4) != NULL)
        s = str_from(s.p + 1, s.n - 1);
    while (s.n > 0 && memchr(" \t\r\n", s.p[s.n - 1], 4) != NULL)
        s.n--;
    return s;
}

static bool bytes_ok(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] <= ' ' || s.p[i] > '~')
            return false;
    }
    return true;
}

/* Behind the last dot stand six digits of CRC-24 over what is before it. */
static enum invite_fault checksum_take(struct str *line)
{
    size_t dot = line->n;
    uint8_t crc[3];

    while (dot > 0 && line->p[dot - 1] != '.')
        dot--;
    if (dot == 0 || line->n - dot < 6)
        return INVITE_SHORT;
    if (hex_take(crc, sizeof crc, str_from(line->p + dot, line->n - dot)) < 0)
        return INVITE_CHECKSUM;
    line->n = dot - 1;
    uint32_t want = (uint32_t)crc[0] << 16 | (uint32_t)crc[1] << 8 | crc[2];
    return crc24(span_of(line->p, line->n)) == want ? INVITE_OK : INVITE_CHECKSUM;
}

static enum invite_fault place_take(struct invite *i, struct str place)
{
    bool bracket = place.n > 0 && place.p[0] == '[';
    uint64_t port;

    if (bracket)
        (void)str_cut(&place, '[');
    struct str host = str_cut(&place, bracket ? ']' : ':');
    if (bracket && (place.n == 0 || str_cut(&place, ':').n != 0))
        return INVITE_HOST;
    if (!host_ok(host) || (memchr(host.p, ':', host.n) != NULL) != bracket ||
        str_copy(i->host, sizeof i->host, host) < 0)
        return INVITE_HOST;
    if (str_u64(place, 65535, &port) < 0 || port == 0)
        return INVITE_PORT;
    i->port = (uint16_t)port;
    return INVITE_OK;
}

static bool exactly(uint8_t *out, size_t n, struct str s)
{
    size_t got = 0;
    return b64url_take(out, n, &got, s) == 0 && got == n;
}

/* Between scheme and checksum: HOST:PORT/#1.<root>.<token> */
static enum invite_fault parts_take(struct invite *i, struct str rest)
{
    struct str place = str_cut(&rest, '/');
    struct str version = str_cut(&rest, '.');

    if (rest.p == NULL || version.n < 2 || version.p[0] != '#')
        return INVITE_SHORT;
    if (!str_is(version, "#1"))
        return INVITE_VERSION;
    enum invite_fault fault = place_take(i, place);
    if (fault != INVITE_OK)
        return fault;
    if (!exactly(i->root.b, HASH_LEN, str_cut(&rest, '.')))
        return INVITE_ROOT;
    return exactly(i->token, TOKEN_LEN, rest) ? INVITE_OK : INVITE_TOKEN;
}

enum invite_fault invite_take(struct invite *i, struct str line)
{
    const size_t scheme = sizeof INVITE_SCHEME_TEXT - 1;
    struct str s = trim(line);

    memset(i, 0, sizeof *i);
    if (s.n == 0)
        return INVITE_EMPTY;
    if (s.n >= INVITE_MAX)
        return INVITE_LONG;
    if (s.n < scheme || memcmp(s.p, INVITE_SCHEME_TEXT, scheme) != 0)
        return INVITE_SCHEME;
    if (!bytes_ok(s))
        return INVITE_BYTES;
    enum invite_fault fault = checksum_take(&s);
    if (fault == INVITE_OK)
        fault = parts_take(i, str_from(s.p + scheme, s.n - scheme));
    if (fault != INVITE_OK)
        wipe(i, sizeof *i);
    return fault;
}

int invite_put(char out[INVITE_MAX], const struct invite *i)
{
    char root[64], token[32];
    struct str host = str_of(i->host);
    bool bracket = strchr(i->host, ':') != NULL;

    if (!host_ok(host) || i->port == 0)
        return -1;
    b64url_put(root, span_of(i->root.b, HASH_LEN));
    b64url_put(token, span_of(i->token, TOKEN_LEN));
    int n = snprintf(out, INVITE_MAX, INVITE_SCHEME_TEXT "%s%s%s:%u/#1.%s.%s", bracket ? "[" : "",
                     i->host, bracket ? "]" : "", (unsigned)i->port, root, token);
    wipe(token, sizeof token);
    if (n < 0 || n >= INVITE_MAX - 8)
        return -1;
    uint32_t crc = crc24(span_of(out, (size_t)n));
    return snprintf(out + n, 8, ".%06x", (unsigned)crc) == 7 ? 0 : -1;
}
