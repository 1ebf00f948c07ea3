/* view_parts.h -- what the files of the view share; view.h is what others use. */
#ifndef CLIENT_CORE_VIEW_PARTS_H
#define CLIENT_CORE_VIEW_PARTS_H

#include "client/core/view.h"

/* Rows of text made before they are drawn, so that a page can be measured and scrolled. */
enum { SHEET_ROWS = 512, SHEET_TEXT = 400 };

struct sheet_row {
    char text[SHEET_TEXT];
    enum style style;
};

struct sheet {
    unsigned cols, n;
    struct sheet_row *rows; /* owned */
};

struct sheet sheet_of(unsigned cols);
void sheet_free(struct sheet *s);
/* Wraps at words; further rows of the text are indented like its first. */
void sheet_add(struct sheet *s, enum style style, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* A term, and beside it (or below, where there is little room) what explains it. */
void sheet_pair(struct sheet *s, enum style style, const char *left, const char *text);
void sheet_blank(struct sheet *s);
/* `label` and the fingerprint in groups of four that never break; rows below it are indented. */
void sheet_fingerprint(struct sheet *s, enum style style, const char *label, const struct hash *fp);
void sheet_draw(const struct sheet *s, struct area a, size_t top);

/* The first `groups` groups of four digits: "CD45 E0F8". */
void fingerprint_short(const struct hash *fp, unsigned groups, char out[80]);
const char *month_name(int mon);
long days_left(const struct model *m, int64_t until);

/* What is known of one signed line, a row each. */
enum { FACTS_MAX = 12, FACT_TEXT = 2 * MODEL_TEXT_SHORT + 40 };
struct fact {
    const char *name;
    char text[FACT_TEXT];
};
unsigned line_facts(const struct shown_line *l, struct fact out[FACTS_MAX]);

void view_chat(const struct model *m, struct area a);
void view_handshake(const struct model *m, struct area a);
void view_inspect(const struct model *m, struct area a);
void view_transcript(const struct model *m, struct area a);
void view_page_text(const struct model *m, struct area a);
/* Rows that the page or inspector has at this width. */
unsigned view_page_rows(const struct model *m, unsigned cols);
unsigned view_handshake_rows(const struct model *m, unsigned cols); /* of what is below the steps */
bool view_chat_scroll(struct window *w, struct area a, int by);

/* "#" of rooms: how a window is called. */
const char *window_sign(const struct window *w);
void view_title(const struct model *m, struct area a);
void view_status(const struct model *m, struct area a, bool merged);
void view_activity(const struct model *m, struct area a);
void view_list(const struct model *m, struct area a);

#endif
