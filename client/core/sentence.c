#include "client/core/sentence.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *kind, *says;
} rows[] = {{"join", "joined"}, {"leave", "left"}, {"invite", "invited"}};

bool sentence_of(const struct engine_entry *t, char *out, size_t cap)
{
    if (t->refused != NULL || t->voided != NULL || t->kind == NULL)
        return false;
    for (size_t i = 0; i < COUNT(rows); i++) {
        if (strcmp(t->kind, rows[i].kind) != 0)
            continue;
        bool whom = t->whom != NULL && t->whom[0] != '\0';
        snprintf(out, cap, "%s %s%s%s", t->author, rows[i].says, whom ? " " : "",
                 whom ? t->whom : "");
        return true;
    }
    return false;
}

const char *sentence_proof(enum engine_proof proof)
{
    switch (proof) {
    case ENGINE_UNPROVEN: break;
    case ENGINE_SIGNED: return "join signed";
    case ENGINE_UNINVITED: return "join signed, no invitation";
    }
    return "the relay alone says so";
}
