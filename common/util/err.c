#include "common/util/err.h"

#include <stdarg.h>
#include <string.h>

#include "common/util/text.h"

int err_set(struct err *e, enum err_code code, const char *fmt, ...)
{
    if (e->code == ERR_NONE) {
        va_list ap;
        va_start(ap, fmt);
        text_vformat(e->text, sizeof e->text, fmt, ap);
        va_end(ap);
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
    size_t n = text_vformat(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    text_format(e->text + n, sizeof e->text - n, ": %s", old);
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
