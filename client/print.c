#include "client/print.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core/sentence.h"
#include "common/util/text.h"
#include "common/util/time.h"

void row_begin(struct row *r, const char *event)
{
    buf_init(&r->b, FRAME_MAX);
    r->j = jput_of(&r->b);
    jput_open(&r->j, NULL, '{');
    jput_u64(&r->j, "v", 1);
    jput_str(&r->j, "event", str_of(event));
}

void row_text(struct row *r, const char *key, const char *text)
{
    if (text != NULL)
        jput_str(&r->j, key, str_of(text));
}

void row_time(struct row *r, const char *key, int64_t ms)
{
    char text[TIME_TEXT];

    time_put(text, ms);
    jput_str(&r->j, key, str_of(text));
}

int row_end(struct row *r, struct err *e)
{
    jput_close(&r->j, '}');
    int ret = jput_done(&r->j);
    struct span s = buf_span(&r->b);
    if (ret < 0)
        err_set(e, ERR_LOCAL, "a line of output could not be made");
    else if (fwrite(s.p, 1, s.n, stdout) != s.n || putchar('\n') == EOF)
        ret = err_set(e, ERR_IO, "the output cannot be written");
    else
        ret = print_flush(e);
    buf_free(&r->b);
    return ret;
}

void print_line(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

int print_flush(struct err *e)
{
    if (fflush(stdout) != 0 || ferror(stdout))
        return err_set(e, ERR_IO, "the output cannot be written");
    return 0;
}

static const char *clean_as(struct clean *c, struct str text, enum text_lines lines)
{
    size_t cap = TEXT_CLEAN_GROWS * text.n + 1;

    c->p = malloc(cap);
    if (c->p == NULL)
        return "no memory";
    text_clean(c->p, cap, text, lines);
    return c->p;
}

const char *clean(struct clean *c, const char *text)
{
    return clean_as(c, str_of(text), TEXT_ONE_LINE);
}

const char *clean_lines(struct clean *c, struct str text)
{
    return clean_as(c, text, TEXT_LINES);
}

void clean_free(struct clean *c)
{
    free(c->p);
    c->p = NULL;
}

void fp_groups(char out[FP_GROUPS], const struct hash *fp)
{
    size_t at = 0;

    for (size_t i = 0; i < sizeof fp->b; i += 2)
        at += (size_t)snprintf(out + at, FP_GROUPS - at, "%s%02X%02X", i == 0 ? "" : " ", fp->b[i],
                               fp->b[i + 1]);
}

int print_step(const struct link_step *s, bool json, struct err *e)
{
    struct row r;
    struct clean detail;

    if (!json) {
        print_line("%2u of %2u %s %6zu B %8.1f ms %6.1f ms  %-20s  %s%s%s%s", s->number, s->total,
                   s->local ? "   "
                   : s->out ? "-->"
                            : "<--",
                   s->bytes, (double)s->at_us / 1000, (double)s->took_us / 1000, s->name, s->proves,
                   s->detail[0] != '\0' ? " (" : "", clean(&detail, s->detail),
                   s->detail[0] != '\0' ? ")" : "");
        clean_free(&detail);
        return print_flush(e);
    }
    row_begin(&r, "step");
    jput_u64(&r.j, "number", s->number);
    jput_u64(&r.j, "total", s->total);
    row_text(&r, "name", s->name);
    row_text(&r, "wire", s->wire);
    row_text(&r, "direction", s->local ? "none" : s->out ? "out" : "in");
    jput_bool(&r.j, "waiting", s->waiting);
    jput_u64(&r.j, "bytes", s->bytes);
    jput_u64(&r.j, "at-us", s->at_us);
    jput_u64(&r.j, "took-us", s->took_us);
    row_text(&r, "proves", s->proves);
    row_text(&r, "detail", s->detail);
    return row_end(&r, e);
}

static void cert_people(const char *what, const struct cert_info *i)
{
    char fp[FP_GROUPS], from[TIME_TEXT], to[TIME_TEXT];
    struct clean subject, issuer, sans;

    fp_groups(fp, &i->fingerprint);
    time_put(from, i->not_before);
    time_put(to, i->not_after);
    print_line("%-12s %s", what, clean(&subject, i->subject));
    print_line("  issuer     %s", clean(&issuer, i->issuer));
    if (i->sans[0] != '\0') {
        print_line("  names      %s", clean(&sans, i->sans));
        clean_free(&sans);
    }
    print_line("  key        %s %u, %s", i->key, i->bits, i->signature);
    print_line("  valid      %.10s to %.10s", from, to);
    print_line("  SHA-256    %s", fp);
    clean_free(&subject);
    clean_free(&issuer);
}

int print_cert(struct span der, const char *what, bool json, struct err *e)
{
    struct cert *c = cert_parse(der, NULL, e);
    struct cert_info i;
    struct row r;

    if (c == NULL)
        return -1;
    cert_info(c, &i);
    cert_free(c);
    if (!json) {
        cert_people(what, &i);
        return print_flush(e);
    }
    row_begin(&r, "certificate");
    row_text(&r, "what", what);
    row_text(&r, "subject", i.subject);
    row_text(&r, "issuer", i.issuer);
    row_text(&r, "names", i.sans);
    row_text(&r, "key", i.key);
    jput_u64(&r.j, "bits", i.bits);
    row_text(&r, "signature", i.signature);
    row_text(&r, "usage", i.usage);
    row_text(&r, "serial", i.serial);
    row_time(&r, "not-before", i.not_before);
    row_time(&r, "not-after", i.not_after);
    jput_hex(&r.j, "sha256", span_of(i.fingerprint.b, sizeof i.fingerprint.b));
    return row_end(&r, e);
}

/* A text of several lines: those behind the first are indented, so that none of them can pass for
 * a line of ours. NULL: no memory. */
static char *lines_indented(const char *text)
{
    static const char indent[] = "\n    ";
    size_t n = strlen(text), breaks = 0, used = 0;

    for (size_t i = 0; i < n; i++)
        breaks += text[i] == '\n';
    char *out = malloc(n + breaks * (sizeof indent - 1) + 1);
    for (size_t i = 0; out != NULL && i <= n; i++) {
        if (text[i] != '\n') {
            out[used++] = text[i];
            continue;
        }
        memcpy(out + used, indent, sizeof indent - 1);
        used += sizeof indent - 1;
    }
    return out;
}

static void entry_people(const struct engine_entry *t, const char *room)
{
    char time[TIME_TEXT], sentence[3 * NAME_MAX_LEN];
    struct clean author = {0}, text = {0}, why = {0}, name = {0};
    char *said = NULL;

    time_put(time, (int64_t)t->time);
    if (t->refused != NULL)
        print_line("%s %s X message %llu refused: %s", time, clean(&name, room),
                   (unsigned long long)t->number, clean(&why, t->refused));
    else if (t->voided != NULL)
        print_line("%s %s %s: [%s]", time, clean(&name, room), clean(&author, t->author),
                   clean(&why, t->voided));
    else if (sentence_of(t, sentence, sizeof sentence)) /* no member's name is "--" */
        print_line("%s %s -- %s", time, clean(&name, room), clean(&text, sentence));
    else if (strcmp(t->kind, "say") != 0)
        print_line("%s %s %s%s: [kind %s, needs a newer client]", time, clean(&name, room),
                   clean(&author, t->author), t->vouched ? "" : "?", clean(&why, t->kind));
    else if ((said = lines_indented(clean_lines(&text, t->text))) != NULL)
        print_line("%s %s %s%s: %s%s", time, clean(&name, room), clean(&author, t->author),
                   t->vouched ? "" : "?", said, t->skewed ? "  [clocks differ]" : "");
    free(said);
    clean_free(&author);
    clean_free(&text);
    clean_free(&why);
    clean_free(&name);
}

int print_entry(const struct engine_entry *t, const char *room, bool json, struct err *e)
{
    struct row r;
    char cursor[32], sentence[3 * NAME_MAX_LEN];

    if (!json) {
        entry_people(t, room);
        return print_flush(e);
    }
    snprintf(cursor, sizeof cursor, "k1-%llu", (unsigned long long)t->arrival);
    row_begin(&r, sentence_of(t, sentence, sizeof sentence) ? "membership" : "entry");
    row_text(&r, "cursor", cursor);
    row_text(&r, "room", room);
    jput_hex(&r.j, "room-id", span_of(t->room.b, sizeof t->room.b));
    jput_u64(&r.j, "number", t->number);
    jput_u64(&r.j, "seq", t->seq);
    row_time(&r, "time", (int64_t)t->time);
    row_time(&r, "sent", (int64_t)t->sent);
    row_text(&r, "author", t->author);
    row_text(&r, "device", t->device);
    jput_hex(&r.j, "certificate", span_of(t->fp.b, sizeof t->fp.b));
    row_text(&r, "sig", t->is_signed ? "good" : "bad");
    jput_bool(&r.j, "own", t->own);
    jput_bool(&r.j, "verified", t->vouched);
    row_text(&r, "refused", t->refused);
    row_text(&r, "void", t->voided);
    if (t->refused == NULL && t->voided == NULL) {
        row_text(&r, "kind", t->kind);
        if (strcmp(t->kind, "say") == 0)
            jput_str(&r.j, "text", t->text);
        row_text(&r, "whom", t->whom[0] != '\0' ? t->whom : NULL);
    }
    return row_end(&r, e);
}
