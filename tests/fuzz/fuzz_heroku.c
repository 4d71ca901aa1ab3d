/* Heroku's answers: the first byte chooses what was asked, the second the status, the rest is the
 * body. Whatever comes, what is handed to the core must keep its promises. */
#include "actuator/heroku.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const long statuses[] = {200, 201, 206, 301, 400, 401, 403, 404, 409, 422, 429, 500};
    static struct heroku_answer_store *store;
    if (store == NULL) {
        store = heroku_answer_store_new();
    }
    if (size < 2 || store == NULL) {
        return 0;
    }
    enum act_request_kind kind = (enum act_request_kind)(1 + data[0] % ACT_WRITE_PLAN);
    struct dyn_str body = {(const char *)data + 2, size - 2};
    struct heroku_reply reply = {
        .sent = true,
        .error = "",
        .status = statuses[data[1] % (sizeof statuses / sizeof *statuses)],
        .body = body,
        .remaining = body,
        .retry_after = body,
        .request_id = body,
    };
    struct act_answer answer;
    heroku_read_answer(store, kind, "web", &reply, 0, &answer);
    DYN_ASSERT(answer.remaining >= -1);
    DYN_ASSERT(answer.retry_after_ms >= -1);
    DYN_ASSERT(answer.words.len <= 160);
    DYN_ASSERT(answer.formations_count <= HEROKU_FORMATIONS_MAX);
    for (size_t i = 0; i < answer.formations_count; i++) {
        DYN_ASSERT(answer.formations[i].quantity >= 0);
    }
    DYN_ASSERT(answer.addons_count <= HEROKU_ADDONS_MAX);
    for (size_t i = 0; i < answer.addons_count; i++) {
        DYN_ASSERT(answer.addons[i].plan.len > 0 && answer.addons[i].plan.len <= DYN_NAME_MAX);
        DYN_ASSERT(answer.addons[i].id.len > 0 && answer.addons[i].id.len <= HEROKU_ID_MAX);
    }
    if (kind == ACT_WRITE_PLAN && answer.class == ACT_OK) {
        DYN_ASSERT(answer.addons_count == 1);
    }
    if (kind == ACT_WRITE && answer.class == ACT_OK) {
        DYN_ASSERT(answer.quantity >= 0 && answer.quantity <= HEROKU_QUANTITY_MAX);
    }
    return 0;
}
