#include "actuator/groups.h"

#include <string.h>

static bool is_one(const struct groups_name *a, const struct groups_name *b)
{
    return a->shared[0] != '\0' && strcmp(a->shared, b->shared) == 0;
}

void groups_form(struct groups_name *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        names[i].first = i;
        for (size_t j = 0; j < count; j++) {
            if (is_one(&names[i], &names[j]) &&
                strcmp(names[j].name, names[names[i].first].name) < 0) {
                names[i].first = j;
            }
        }
    }
}

static enum lease_wish wish_of_first(const struct groups_name *name, bool known, int64_t keep_ms,
                                     int64_t now_ms)
{
    if (name->unable) {
        return LEASE_UNWANTED;
    }
    if (known && name->ours) {
        return LEASE_WANTED;
    }
    unsigned doubles = name->spares > 0 ? name->spares - 1 : 0;
    doubles = doubles < GROUPS_KEEP_DOUBLES ? doubles : GROUPS_KEEP_DOUBLES;
    bool kept = !known || (name->as_spare && now_ms - name->taken_ms < keep_ms << doubles);
    return !name->held || kept ? LEASE_SPARE : LEASE_UNWANTED;
}

enum lease_wish groups_wish(const struct groups_name *names, size_t at, bool known, int64_t keep_ms,
                            int64_t now_ms)
{
    const struct groups_name *first = &names[names[at].first];
    enum lease_wish wish = wish_of_first(first, known, keep_ms, now_ms);
    if (names[at].first == at) {
        return wish;
    }
    return first->held && wish != LEASE_UNWANTED ? LEASE_WANTED : LEASE_UNWANTED;
}

bool groups_must_write(const struct groups_name *name)
{
    return name->held && name->told == GROUPS_TOLD && strcmp(name->identity, name->shared) != 0;
}

bool groups_is_clear(const struct groups_name *names, size_t count, size_t at, bool known,
                     int64_t keep_ms, int64_t now_ms)
{
    const struct groups_name *name = &names[at];
    if (!name->held || !name->read || name->told == GROUPS_UNTOLD || groups_must_write(name) ||
        groups_wish(names, at, known, keep_ms, now_ms) == LEASE_UNWANTED) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (names[i].first == name->first && !names[i].held) {
            return false;
        }
    }
    return true;
}
