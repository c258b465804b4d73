#include "appliance/round/drive/helper_journal.h"

_Static_assert(MR_ANNOUNCEMENT_VERSION == 10 && MR_JOURNAL_VERSION == '5',
               "a journal holds the announcement: with a new version of that it gets one, too");

int mr_helper_journal_parse(struct mr_journal_read *read, const struct mr_journal_content *content,
                            struct mr_error *error)
{
    if (mr_journal_state_parse(read, content->snapshot, content->snapshot_bytes, error) != 0) {
        return -1;
    }
    if (mr_journal_records_parse(read, content->records, content->records_bytes, error) != 0) {
        mr_journal_read_fini(read);
        return -1;
    }
    return 0;
}

int mr_helper_journal_open(struct mr_journal **journal, const struct mr_disk *disk,
                           const uint8_t private_key[32], struct mr_journal_read *newest,
                           struct mr_error *error)
{
    struct mr_journal_content content;
    *newest = (struct mr_journal_read){.entries = NULL};
    const int found = mr_journal_open(journal, disk, private_key, &content, error);
    if (found != 0) {
        return found;
    }
    const int parsed = mr_helper_journal_parse(newest, &content, error);
    mr_journal_content_fini(&content);
    if (parsed != 0) {
        mr_journal_close(*journal);
        *journal = NULL;
        return mr_error_prefix(error, "journal");
    }
    return 0;
}
