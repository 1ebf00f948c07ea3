#include "common/evidence/audit.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/evidence/merkle.h"

#define WORD "countersign-audit-1"

/* --- addresses --- */

bool audit_address_plain(struct str address)
{
    return address.n == 0 || str_is(address, "operator") || str_is(address, "*");
}

void audit_address(char out[AUDIT_ADDRESS_TEXT], const struct key *k, struct str address)
{
    struct hash mac;

    if (audit_address_plain(address)) {
        snprintf(out, AUDIT_ADDRESS_TEXT, "%.*s", (int)address.n, address.n == 0 ? "" : address.p);
        return;
    }
    hmac_sha256(span_of(k->b, sizeof k->b), span_of(address.p, address.n), &mac);
    hex_put(out, span_of(mac.b, sizeof mac.b));
}

int64_t audit_week(int64_t time)
{
    return time / AUDIT_WEEK_MS;
}

/* --- writing --- */

static void put_number(struct wr *w, uint64_t v)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%" PRIu64, v);

    wr_put(w, text, (size_t)n);
    wr_u8(w, '|');
}

static void put_text(struct wr *w, struct str s)
{
    wr_percent(w, s);
    wr_u8(w, '|');
}

static bool is_hash(struct str s)
{
    struct hash h;

    return hex_take(h.b, sizeof h.b, s) == 0;
}

/* Whether it has a line at all. */
static bool sound(const struct audit_line *l)
{
    return l->number >= 1 && l->number <= EXACT_INT_MAX && l->time >= 0 &&
           (uint64_t)l->time <= EXACT_INT_MAX && (l->span == 0 || l->span == AUDIT_SPAN_MS) &&
           l->event.n >= 1 && l->event.n <= AUDIT_WORD_MAX && l->account.n <= AUDIT_WORD_MAX &&
           (l->fp.n == 0 || is_hash(l->fp)) && l->reason.n <= AUDIT_WORD_MAX && l->count >= 1 &&
           l->count <= EXACT_INT_MAX && (audit_address_plain(l->address) || is_hash(l->address));
}

size_t audit_line_put(char out[AUDIT_LINE_MAX + 1], const struct audit_line *l)
{
    struct wr w = wr_of(out, AUDIT_LINE_MAX);

    if (sound(l)) {
        wr_put(&w, WORD "|", sizeof WORD);
        put_number(&w, l->number);
        put_number(&w, (uint64_t)l->time);
        put_number(&w, l->span);
        put_text(&w, l->event);
        put_text(&w, l->account);
        put_text(&w, l->fp);
        put_text(&w, l->reason);
        put_number(&w, l->count);
        if (l->address.n > 0)
            wr_put(&w, l->address.p, l->address.n);
    }
    size_t n = wr_span(&w).n;
    out[n] = '\0';
    return n;
}

/* --- reading --- */

static int take_number(struct str *rest, uint64_t *out)
{
    return str_u64(str_cut(rest, '|'), EXACT_INT_MAX, out);
}

static const char *fields_take(struct audit_line *l, struct str rest, struct wr *w)
{
    uint64_t time;

    if (!str_is(str_cut(&rest, '|'), WORD))
        return "the word of the line";
    if (take_number(&rest, &l->number) < 0)
        return "number";
    if (take_number(&rest, &time) < 0)
        return "time";
    l->time = (int64_t)time;
    if (take_number(&rest, &l->span) < 0)
        return "span";
    if (percent_take(&l->event, w, str_cut(&rest, '|')) < 0)
        return "event";
    if (percent_take(&l->account, w, str_cut(&rest, '|')) < 0)
        return "account";
    l->fp = str_cut(&rest, '|');
    if (percent_take(&l->reason, w, str_cut(&rest, '|')) < 0)
        return "reason";
    if (take_number(&rest, &l->count) < 0 || rest.p == NULL)
        return "count";
    l->address = rest;
    return NULL;
}

int audit_line_take(struct audit_line *l, struct str line, char scratch[AUDIT_LINE_MAX],
                    struct err *e)
{
    struct wr w = wr_of(scratch, AUDIT_LINE_MAX);

    *l = (struct audit_line){.number = 0};
    const char *wrong = fields_take(l, line, &w);
    if (wrong != NULL)
        return err_set(e, ERR_DATA, "%s", wrong);
    return sound(l) ? 0 : err_set(e, ERR_DATA, "a value that stands in no line");
}

void audit_leaf(struct hash *out, struct str line)
{
    struct span data = span_of(line.p, line.n);

    merkle_leaf(out, &data, 1);
}
