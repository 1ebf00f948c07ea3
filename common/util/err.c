#include "common/util/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A sentence reaches terminals and line-based logs: no control byte may survive in it. */
static void text_flatten(char *s)
{
    for (; *s != '\0'; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    if (e->code == ERR_NONE) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(e->text, sizeof e->text, fmt, ap);
        va_end(ap);
        text_flatten(e->text);
        e->code = code;
    }
    return -1;
}

void err_clear(struct err *e)
{
    e->code = ERR_NONE;
    e->text[0] = '\0';
}

int err_in(struct err *e, const char *fmt, ...)
{
    char old[sizeof e->text];
    va_list ap;

    memcpy(old, e->text, sizeof old);
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used < sizeof e->text) {
        int left = (int)(sizeof e->text - used);
        snprintf(e->text + used, (size_t)left, ": %.*s", left > 3 ? left - 3 : 0, old);
    }
    text_flatten(e->text);
    return -1;
}

const char *err_code_text(enum err_code code)
{
#define X(id, text, status)                                                                        \
    case id: return text;
    switch (code) {
        ERR_LIST(X)
    }
#undef X
    return "unknown error";
}

int err_status(enum err_code code)
{
#define X(id, text, status)                                                                        \
    case id: return status;
    switch (code) {
        ERR_LIST(X)
    }
#undef X
    return 70;
}
