/* The texts of `classic`: AES-128-CBC and HMAC-SHA256, one line each (docs/protocol.md 10.5). */
#include <string.h>

#include "common/link/classic_priv.h"

enum { TEXT_HEAD = 4, HEX_MAX = 2 * (CLASSIC_TEXT_MAX + CBC_EXTRA) };
static_assert(HEX_MAX + 64 <= CLASSIC_LINE_MAX, "the longest text fits its line");

/* --- 5. msg --- */

static int text_keep(struct classic *c, const uint8_t *text, size_t n)
{
    uint8_t head[TEXT_HEAD];
    struct wr w = wr_of(head, sizeof head);

    if (n == 0)
        return 0;
    wr_u32(&w, (uint32_t)n);
    if (buf_add(&c->texts, head, sizeof head) < 0 || buf_add(&c->texts, text, n) < 0)
        return classic_refuse(c, ERR_LIMIT, "more texts than are taken");
    return 0;
}

static int text_open(struct classic *c, struct str hex)
{
    uint8_t sealed[HEX_MAX / 2], text[HEX_MAX / 2];
    size_t n = hex.n / 2, got = 0;
    int ret = -1;

    if (hex.n % 2 != 0 || n > sizeof sealed || hex_take(sealed, n, hex) < 0)
        return classic_refuse(c, ERR_PEER, "msg: not hex of a text");
    if (cbc_plain_open(&c->keys, span_of(sealed, n), text, &got) < 0)
        classic_refuse(c, ERR_AUTH, CLASSIC_BAD_MAC);
    else if (got > CLASSIC_TEXT_MAX) /* within the last block a few bytes more have room */
        classic_refuse(c, ERR_LIMIT, "a text too long for classic");
    else
        ret = text_keep(c, text, got);
    wipe(text, sizeof text);
    return ret;
}

/* Those of the first text each way: seed 003 lists them. */
static void first_got(struct classic *c, size_t bytes)
{
    if (!c->file || c->got_one)
        return;
    c->got_one = true;
    classic_step(c, FILE_VERIFY, false, bytes,
                 "HMAC-SHA256, in constant time, before anything else");
    classic_step(c, FILE_DECRYPT, false, 0, "AES-128-CBC, PKCS#7");
}

int classic_take_msg(struct classic *c, const struct classic_line *l, size_t bytes)
{
    if (!c->keyed)
        return classic_refuse(c, ERR_PEER, "msg before there was a key");
    if (text_open(c, l->ct_hex) < 0)
        return -1;
    first_got(c, bytes);
    return 0;
}

static void first_sent(struct classic *c, size_t bytes)
{
    if (!c->file || c->sent_one)
        return;
    c->sent_one = true;
    classic_step(c, FILE_ENCRYPT, true, 0, "AES-128-CBC, PKCS#7, an IV that nobody can foretell");
    classic_step(c, FILE_MAC, true, 0, "HMAC-SHA256 of IV and ciphertext, its key by HKDF");
    classic_step(c, FILE_SEND, true, bytes, "a line of JSON");
}

int classic_send(void *end, const uint8_t *msg, size_t n)
{
    static const char head[] = "{\"type\":\"msg\",\"ct_hex\":\"", tail[] = "\"}\n";
    struct classic *c = end;
    uint8_t sealed[CBC_IV + CLASSIC_TEXT_MAX + CBC_BLOCK + CBC_MAC];
    size_t len = cbc_len(n), before = c->out.len;

    c->began = classic_now(c);
    if (c->err.code != ERR_NONE || !c->done || c->closed)
        return classic_refuse(c, ERR_LOCAL, "sent at the wrong time");
    if (n > CLASSIC_TEXT_MAX)
        return classic_refuse(c, ERR_LIMIT, "a text too long for classic");
    memcpy(sealed + CBC_IV, msg, n);
    if (cbc_plain_seal(&c->keys, c->sealed++, sealed, n) < 0)
        return classic_refuse(c, ERR_LOCAL, "a text cannot be sealed");
    if (classic_say(c, head) < 0)
        return -1;
    char *hex = (char *)buf_room(&c->out, 2 * len + 1);
    if (hex == NULL)
        return classic_refuse(c, ERR_LIMIT, "the peer reads too slowly");
    hex_put(hex, span_of(sealed, len));
    buf_cut(&c->out, c->out.len - 1); /* the NUL */
    if (classic_say(c, tail) < 0)
        return -1;
    first_sent(c, c->out.len - before);
    return 0;
}

struct span classic_take(void *end)
{
    struct classic *c = end;
    struct rd r;

    buf_drop(&c->texts, c->taken);
    c->taken = 0;
    if (c->texts.len == 0)
        return (struct span){NULL, 0};
    r = rd_of(buf_span(&c->texts));
    size_t n = rd_u32(&r);
    c->taken = TEXT_HEAD + n;
    if (c->file && !c->shown_one) {
        c->shown_one = true;
        c->began = classic_now(c);
        classic_step(c, FILE_SHOW, false, n, "with the mark that belongs to it");
    }
    return span_of(rd_take(&r, n), n);
}
