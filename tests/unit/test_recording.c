#include "deploy/cli/recording.h"

#include <check.h>
#include <unistd.h>

static char path[64];

static void setup(void)
{
    snprintf(path, sizeof(path), "/tmp/dynosaur-recording-XXXXXX");
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
}

static void teardown(void)
{
    ck_assert_int_eq(unlink(path), 0);
}

static const struct recording_head head = {UINT64_MAX - 1, 63, INT64_MAX};
static const struct recording_entry entries[] = {
    {RECORDING_VALUES, {1, 2}, {"batch", 5}},
    {RECORDING_TARGETS, {UINT64_MAX, UINT64_MAX}, {"\0\1\2", 3}},
    {RECORDING_VALUES, {3, 0}, {"", 0}},
};
#define ENTRIES (sizeof(entries) / sizeof(entries[0]))

static long write_all(void)
{
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    recording_begin(file, &head);
    for (size_t i = 0; i < ENTRIES; i++) {
        recording_add(file, &entries[i]);
    }
    recording_end(file, ENTRIES);
    long size = ftell(file);
    ck_assert_int_eq(fclose(file), 0);
    return size;
}

static struct recording *load(void)
{
    struct dyn_error error = {.text = ""};
    struct recording *recording = recording_load(path, &error);
    ck_assert_msg(recording != NULL, "%s", error.text);
    return recording;
}

START_TEST(what_was_written_is_read)
{
    write_all();
    struct recording *recording = load();
    ck_assert(recording->head.config == head.config && recording->head.partition == 63 &&
              recording->head.wall_ms == INT64_MAX);
    ck_assert(!recording->cut);
    ck_assert_uint_eq(recording->count, ENTRIES);
    for (size_t i = 0; i < ENTRIES; i++) {
        ck_assert_int_eq(recording->entries[i].stream, entries[i].stream);
        ck_assert_int_eq(entry_id_compare(recording->entries[i].id, entries[i].id), 0);
        ck_assert(dyn_str_eq(recording->entries[i].message, entries[i].message));
    }
    recording_free(recording);
}
END_TEST

START_TEST(wherever_it_is_cut_off_what_is_whole_is_read)
{
    long size = write_all();
    size_t before = ENTRIES;
    for (long cut = size - 1; cut >= 32; cut--) {
        ck_assert_int_eq(truncate(path, cut), 0);
        struct recording *recording = load();
        ck_assert(recording->cut);
        ck_assert_uint_le(recording->count, before);
        before = recording->count;
        recording_free(recording);
    }
    ck_assert_uint_eq(before, 0);
    struct dyn_error error = {.text = ""};
    ck_assert_int_eq(truncate(path, 31), 0);
    ck_assert_ptr_null(recording_load(path, &error));
    ck_assert_ptr_nonnull(strstr(error.text, "is no recording"));
}
END_TEST

START_TEST(a_length_or_stream_that_cannot_be_ends_the_reading)
{
    static const struct {
        long at;
        int byte;
    } wrong[] = {{32, 9}, {39, 127}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        write_all();
        FILE *file = fopen(path, "r+");
        ck_assert_ptr_nonnull(file);
        ck_assert_int_eq(fseek(file, wrong[i].at, SEEK_SET), 0);
        fputc(wrong[i].byte, file);
        ck_assert_int_eq(fclose(file), 0);
        struct recording *recording = load();
        ck_assert(recording->cut && recording->count == 0);
        recording_free(recording);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("recording");
    TCase *tcase = tcase_create("recording");
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, what_was_written_is_read);
    tcase_add_test(tcase, wherever_it_is_cut_off_what_is_whole_is_read);
    tcase_add_test(tcase, a_length_or_stream_that_cannot_be_ends_the_reading);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
