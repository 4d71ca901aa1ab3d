#!/usr/bin/env bash
# The lines of defence, each with what takes it away and the test that must notice.
# mutant NAME FILE TEST OLD NEW (tests/mutants/run)

# ---- windows: what a fall may rest on ----

window=services/estimator/window.c
mutant 'window: a gap begins coverage anew' $window unit/test_window \
    'at - window->good_at > rule->max_gap_ms' 'false'
mutant 'window: coverage counts a whole period' $window unit/test_window \
    'if (window->covered_since > now - rule->period_ms) {
        return COVER_YOUNG;' 'if (window->covered_since >= WINDOW_BROKEN) {
        return COVER_YOUNG;'
mutant 'window: what has not been heard for max_gap is stale' $window unit/test_window \
    'now - window->good_at > rule->max_gap_ms) {
        return COVER_STALE;' 'false) {
        return COVER_STALE;'
mutant 'window: zeros after demand are doubted' $window unit/test_window \
    'return window_doubts(window, rule, now) ? COVER_DOUBT : COVER_YES;' 'return COVER_YES;'
mutant 'window: late samples do not cover' $window unit/test_window \
    'if (now - at > rule->interval_ms) {
        return;
    }' ''
mutant 'window: late samples count for the maximum' $window unit/test_window \
    'window_insert_late(window, value);
' ''
mutant 'window: what is late and lower ends nothing' $window unit/test_window \
    'now - at <= rule->interval_ms || !(value < window_value(window))' 'true'
mutant 'window: late demand among zeros begins their doubt anew' $window unit/test_window \
    'window->zero_since = window->last_at;' ''
mutant 'window: a merge keeps the higher value' $window unit/test_window \
    'window_slot(window, 1)->value = window_at(window, 0)->value;' ''
mutant 'window: a sample is in force until the next' $window unit/test_window \
    'newest->end = at;' 'newest->end = window->last_at;'
mutant 'window: a break ends coverage' $window unit/test_window \
    'window->covered_since = WINDOW_BROKEN;
}' '(void)window;
}'
mutant 'window: what came before a break counts from its arrival' $window unit/test_window \
    'window->covered_since == WINDOW_BROKEN ? now : at' 'at'

mutant 'counter: a break makes no drop true' services/estimator/counter.c unit/test_counter \
    'if (doubts(window, rule, window->last_at)) {' 'if (false) {'
mutant 'fold: a counter is told of a break as one' services/estimator/fold.c unit/test_fold \
    'if (input->config->counter) {
            struct window_rule rule' 'if (false) {
            struct window_rule rule'

# ---- fold: from the log to targets ----

fold=services/estimator/fold.c
mutant 'fold: an uncovered input lets nothing fall' $fold unit/test_fold \
    'decision.raise_only |= cover != COVER_YES && cover != COVER_IGNORED;' ''
mutant 'fold: nothing heard lets nothing fall' $fold unit/test_fold \
    'decision.raise_only |= !heard;' ''
mutant 'fold: a fall waits for its tick' $fold unit/test_fold \
    'if (decision.rung <= controller->given.rung) {
            return;
        }' ''
mutant 'fold: a rise keeps raise_only' $fold unit/test_fold \
    'decision.raise_only |= controller->given.raise_only;' ''
mutant 'fold: nothing is scaled to nothing' $fold unit/test_fold \
    'config->min_resource > 1 ? config->min_resource : 1' 'config->min_resource'
mutant 'fold: the maximum clamps' $fold unit/test_fold \
    'if (decision->rung > config->max_resource) {' 'if (false) {'
mutant 'fold: the highest input decides' $fold unit/test_fold \
    'decision.estimate = estimate > decision.estimate ? estimate : decision.estimate;' \
    'decision.estimate = estimate;'
mutant 'fold: a fallback never lowers' $fold unit/test_fold \
    'cover == COVER_FALLBACK && input->config->fallback > estimate' 'cover == COVER_FALLBACK'
mutant 'fold: ticks of a lower epoch are ignored' $fold unit/test_fold_leaders \
    'tick->epoch < fold->epoch ||' ''
mutant 'fold: an epoch from the far future is ignored' $fold unit/test_fold_leaders \
    'tick->epoch <= id.ms + FOLD_EPOCH_AHEAD_MS' 'id.ms <= FOLD_MS_MAX'
mutant 'lead: a tick says from where on its leader had read' services/estimator/lead.c integration/test_estimator \
    '        .from = lead->from,
' ''
mutant 'lead: reading does not begin at what nobody folds' services/estimator/lead_replay.c integration/test_estimator \
    'if (id.ms <= FOLD_MS_MAX) {' 'if (true) {'
mutant 'refold: another leader knows only what it read' services/estimator/refold.c unit/test_refold \
    'if (fold_is_taken_over(refold->fold, refold->reader, id, message, &tick)) {' \
    'if (fold_is_taken_over(refold->fold, refold->reader, id, message, &tick) && tick->epoch == 0) {'
mutant 'refold: a log that begins in the middle says so' services/estimator/refold.c unit/test_refold \
    '*out_whole || order <= 0' 'true'
reader=common/bus_reader.c
mutant 'reader: a replica is no server to read from' $reader integration/test_bus_reader \
    '!dyn_str_is(bus_info_find(info, "role"), "master")' 'false'
mutant 'reader: another history is another server' $reader integration/test_bus_reader \
    '!dyn_str_is(bus_info_find(info, "master_replid"), reader->replid)' 'false'
mutant 'reader: commands and streams are of one server' $reader integration/test_bus_reader \
    '} else if (!server_is_shared(reader)) {' '} else if (false) {'
mutant 'fold: a clock jump is a break' $fold unit/test_fold \
    'bool jumped = fold->drift_ms > FOLD_JUMP_MS || fold->drift_ms < -FOLD_JUMP_MS;' \
    'bool jumped = false;'
mutant 'fold: a break that a tick tells is one' $fold unit/test_fold \
    'if (jumped || alone_ms > 0 || tick->breaks != BREAK_NONE) {' 'if (jumped || alone_ms > 0) {'
mutant 'fold: a clock may be set while nobody leads' $fold unit/test_fold_leaders \
    'return alone_ms > FOLD_ALONE_MS ? alone_ms : 0;' 'return 0;'
mutant 'fold: a first leader has missed nothing' $fold unit/test_fold_leaders \
    'fold->tick_at == WINDOW_NEVER) {
        return 0;' 'fold->tick_at == WINDOW_NEVER) {
        return tick->epoch == fold->epoch ? 0 : now;'
mutant 'fold: missing batches are counted' $fold unit/test_fold \
    'uint64_t missing = batch->seq - member->seq - 1;' 'uint64_t missing = 0;'
mutant 'fold: an input that cannot be asked is told' $fold unit/test_fold \
    'input->disabled = sample->status == SAMPLE_DISABLED;' ''
mutant 'fold: what lasts is told again each hour' services/estimator/fold_story.c unit/test_fold \
    '!(is && now - told->at >= FOLD_HELD_AGAIN_MS)' 'true'
mutant 'fold: what ended while nobody led is told as over' services/estimator/fold_story.c \
    unit/test_fold_leaders 'input->above.raised = input->above.raised && !fold_is_above(input);' \
    'input->above.raised = false;'
mutant 'fold: what runs is known again though nobody led' services/estimator/fold_story.c \
    unit/test_fold_leaders \
    'controller->unknown.raised && !fold_wants_running(fold, controller, now);' 'false;'
mutant 'fold: an input that can be asked again is told' services/estimator/fold_story.c \
    unit/test_fold_leaders 'input->off.raised = input->off.raised && !input->disabled;' \
    'input->off.raised = false;'
mutant 'fold: what is lost while nobody leads is told' $fold unit/test_fold_leaders \
    'fold->lost_lately += lost;' ''
mutant 'fold: a pin ends' $fold unit/test_fold \
    'pin->until_ms > now && ' ''
mutant 'fold: a new epoch restates all' $fold unit/test_fold_leaders \
    'fold->plan.controllers[c].given.exists = false;' '(void)c;'

# ---- estimator: who leads ----

mutant 'share: who fails to lead lets another try' services/estimator/share.c unit/test_share \
    '!share->alone && since_failed_ms < share->gone_ms' 'false'
mutant 'share: what comes back is handed over less often' services/estimator/share.c \
    unit/test_share '(SHARE_KEEP_GONES * share->gone_ms) << doubles' 'SHARE_KEEP_GONES * share->gone_ms'

# ---- actuator: what stands between a target and Heroku ----

mutant 'groups: a key that is missing leaves the account to others' services/actuator/groups.c \
    unit/test_groups 'if (name->unable) {' 'if (false) {'
mutant 'groups: what comes back is handed over less often' services/actuator/groups.c \
    unit/test_groups 'keep_ms << doubles' 'keep_ms'
mutant 'core: a holder that does not know is waited for' services/actuator/core_lead.c \
    unit/test_actuator_takeover '(own ? 0 : lease->hold_ms)' '0'
guards=services/actuator/guards.c
mutant 'guards: raise_only targets let nothing fall' $guards unit/test_actuator_core \
    'if (facts->raise_only) {' 'if (false) {'
mutant 'guards: mode raise_only' $guards unit/test_actuator_guards \
    'if (policy->mode == CONFIG_MODE_RAISE_ONLY) {' 'if (false) {'
mutant 'guards: an old mark lets nothing fall' $guards unit/test_actuator_core \
    'facts->now - facts->mark_at > ACT_MARK_MAX_AGE_MS' 'false'
mutant 'guards: mode off' $guards unit/test_actuator_guards \
    'facts->policy->mode == CONFIG_MODE_OFF' 'false'
mutant 'guards: mode shadow' $guards unit/test_actuator_guards \
    'policy->mode == CONFIG_MODE_SHADOW' 'false'
mutant 'guards: zero is a person'"'"'s' $guards unit/test_actuator_guards \
    'if (facts->running == 0) {' 'if (false) {'
mutant 'guards: paused' $guards unit/test_actuator_guards 'if (facts->paused) {' 'if (false) {'
mutant 'guards: maintenance' $guards unit/test_actuator_guards \
    'if (facts->maintenance) {' 'if (false) {'
mutant 'guards: lowered by hand' $guards unit/test_actuator_guards \
    'if (facts->manual_floor == 0 && facts->now < facts->manual_until) {' 'if (false) {'
mutant 'guards: raised by hand' $guards unit/test_actuator_guards \
    'if (facts->manual_floor > want && facts->now < facts->manual_until) {' 'if (false) {'
mutant 'guards: max_step_down' $guards unit/test_actuator_core \
    'bool cut = facts->running - want > step;' 'bool cut = false;'
mutant 'guards: scale_down_cooldown' $guards unit/test_actuator_guards \
    'int64_t free_at = last + policy->scale_down_cooldown_ms;' 'int64_t free_at = last;'
mutant 'guards: changes an hour' $guards unit/test_actuator_guards \
    'facts->changes >= policy->max_changes_per_hour' 'false'

core=services/actuator/core.c
step=services/actuator/core_step.c
begin=services/actuator/core_begin.c
lead=services/actuator/core_lead.c
answer=services/actuator/core_answer.c
mutant 'core: targets out of range are refused' $core unit/test_actuator_core \
    'target->rung < 1 || target->rung > ctl->config->max_resource ||' 'target->rung < 1 ||'
mutant 'core: targets of an epoch that is over' $core unit/test_actuator_core \
    'target->epoch < core->partitions[partition].epoch || ' ''
mutant 'core: a target older than the one held' $core unit/test_actuator_core \
    '|| target_is_older(ctl, target)' ''
mutant 'core: marks of an epoch that is over' $core unit/test_actuator_core \
    '||
        mark->epoch < core->partitions[partition].epoch' ''
mutant 'core: a fall rests on the present leader'"'"'s word' $step unit/test_actuator_core \
    'ctl->decided_epoch == part->epoch ? part->mark_at : ACT_NEVER' 'part->mark_at'
mutant 'core: a change rests on a fresh reading' $step unit/test_actuator_core \
    'if (reading->stale || now.boot_ms - reading->read_at > ACT_FRESH_MS) {' 'if (reading->stale) {'
mutant 'core: what runs may be above all that a target can say' $step unit/test_actuator_core \
    ' ||
                   flight->intent.to < flight->intent.from' ''
mutant 'core: one request in flight an app' $step unit/test_actuator_takeover \
    '    app->flying = true;
' ''
mutant 'core: an open intent is settled first' $step unit/test_actuator_errors \
    'if (app_has_open(core, app) || now.boot_ms < ctl->journal_at ||' 'if (now.boot_ms < ctl->journal_at ||'
mutant 'core: a former holder'"'"'s last request is waited for' $step unit/test_actuator_takeover \
    'now.boot_ms < app_settle_at(core, app) || !app_is_watched(core, app)' '!app_is_watched(core, app)'
mutant 'core: only what the last epoch left open is over' $lead unit/test_actuator_takeover \
    'held->clean != 0 && intent->epoch == held->clean' 'held->clean != 0'
mutant 'core: a wait outlasts its lease' $lead unit/test_actuator_takeover \
    'settle_at > held->settle_at ? settle_at : held->settle_at' 'settle_at'
mutant 'core: a doubt outlasts the wait' $lead unit/test_actuator_takeover \
    '!noted || now.boot_ms < account->settle_at' '!noted'
mutant 'core: a doubt outlasts what is open' $lead unit/test_actuator_takeover \
    'return !open && notes < ACT_NOTES_MAX;' 'return notes < ACT_NOTES_MAX;'
mutant 'core: a successor does not rely on what was doubted' $lead unit/test_actuator_takeover \
    'ctl->doubted = ctl->human.confirmed != intent->confirmed;' ''
mutant 'core: a journal with a lost tail makes all apps wait' $step unit/test_actuator_takeover \
    'account->doubtful ? account->settle_at : ACT_NEVER' 'ACT_NEVER'
mutant 'core: a journal with a lost tail accuses nobody' $lead unit/test_actuator_takeover \
    'held->doubtful ? -1 : intent->confirmed' 'intent->confirmed'
mutant 'core: nothing is asked for an account that is not clear' $step unit/test_actuator_takeover \
    '!act_can_ask(core, account) || !account->clear ||' '!act_can_ask(core, account) ||'
mutant 'core: an intent of an account not clear any more is not sent' $step unit/test_actuator_takeover \
    'if (!account->clear) {
        return GUARD_JOURNAL;' 'if (false) {
        return GUARD_JOURNAL;'
mutant 'core: the decision is asked again before sending' $begin unit/test_actuator_takeover \
    '!verdict.write ||
        verdict.want != flight->intent.to ||' ''
mutant 'core: nothing is sent under another lease' $begin unit/test_actuator_takeover \
    '!act_can_ask(core, account) || account->epoch != flight->intent.epoch' 'false'
mutant 'core: with a lease, only the journal says what was confirmed' $lead \
    unit/test_actuator_takeover '            core->ctls[j].human.confirmed = -1;
' ''
mutant 'core: a reading of a former lease is not believed' $answer unit/test_actuator_takeover \
    'return account->loaded && flight->at >= account->led_at;' 'return account->loaded;'
mutant 'core: a write without an answer stays open' $answer unit/test_actuator_errors \
    'ctl->open = true;
    ctl->intent = flight->intent;' 'ctl->intent = flight->intent;'
mutant 'core: an account that leaves takes its requests along' services/actuator/core_reload.c \
    unit/test_actuator_reload \
    '        if (free || flight->counted) {
            act_budget_answered(act_account_budget(old' '        if (false) {
            act_budget_answered(act_account_budget(old'
mutant 'core: what is switched off settles what it left open' $step unit/test_actuator_plans \
    ' || ctl->open) && act_ctl_scale' ') && act_ctl_scale'
mutant 'core: whose a key was says nothing of another' $answer unit/test_actuator_reload \
    'if (!old_key) {' 'if (true) {'
mutant 'core: a refusal is of the key that it met' $answer unit/test_actuator_reload \
    'old_key ? old_key_answer(&flight, answer) : *answer' '*answer'
mutant 'core: nothing leaves with a key that was not asked about' $begin unit/test_actuator_reload \
    'account->identity_state == IDENTITY_UNKNOWN' 'false'
mutant 'core: a pause is of a name' services/actuator/core_reload.c unit/test_actuator_reload \
    '    move_pauses(next, core);
' ''
mutant 'core: what is paused is known first' $core unit/test_actuator_guards ' && !core->deaf' ''
mutant 'core: a fall is decided once more before it leaves' $core unit/test_actuator_takeover \
    'flight_is_overtaken(core, flight, now);
            return' 'false;
            return'
mutant 'core: nothing leaves that Heroku told to wait' $core unit/test_actuator_takeover \
    'act_budget_waits(&core->budgets[account->budget], now.boot_ms) ||' ''
mutant 'core: a refusal is tried again some time' $answer unit/test_actuator_errors \
    'plan ? ACT_BLOCKED_MS : ACT_LIMIT_MS' 'plan ? ACT_BLOCKED_MS : INT64_MAX / 2'
mutant 'core: a successor counts the changes before it' $lead unit/test_actuator_takeover \
    'act_changes_add(ctl, ctl->last_up, now.boot_ms);' ''
mutant 'follow: a reload reads all commands again' services/actuator/follow.c \
    integration/test_actuator \
    '    bus_reader_forget(follow->reader, follow->commands);
    commands_follow(follow, 2);' '    follow->unheard = 2;'
mutant 'budget: a floor is left to people' services/actuator/budget.c unit/test_budget \
    'return budget->left > budget_floor(budget, purpose);' 'return budget->left > 0;'
mutant 'budget: what is under way is counted' services/actuator/budget.c unit/test_budget \
    'budget->left = remaining > later ? remaining - later : 0;' 'budget->left = remaining;'
mutant 'budget: a 429 waits as told' services/actuator/budget.c unit/test_budget \
    'return now < budget->blocked_until;' 'return false;'
mutant 'humans: a change by hand is seen' services/actuator/humans.c unit/test_actuator_guards \
    'if (seen == SEEN_RAISED || seen == SEEN_LOWERED) {' 'if (false) {'

# ---- plans ----

mutant 'plans: a smaller one needs allow_downgrade' $guards unit/test_actuator_plans \
    'policy->plans != NULL && !policy->allow_downgrade' 'false'
mutant 'plans: they fall one at a time' $guards unit/test_actuator_plans \
    'policy->plans != NULL ? 1 : ' ''
mutant 'plans: a change under way is left alone' $guards unit/test_actuator_plans \
    'if (facts->provisioning) {' 'if (false) {'
mutant 'plans: a change under way is blamed on nobody' $answer unit/test_actuator_plans \
    '    act_human_unfinished(&ctl->human, now.boot_ms);
' ''
mutant 'plans: a refused one is tried again some time' $answer unit/test_actuator_plans \
    'plan ? ACT_BLOCKED_MS : ACT_LIMIT_MS' 'ACT_LIMIT_MS'
mutant 'plans: one that is not in the table changes nothing' $answer unit/test_actuator_plans \
    'plan_rung_of(config->plans, found->plan) == 0' 'false'
mutant 'plans: add-ons that cannot be read hold no dynos' $step unit/test_actuator_plans \
    'const struct act_reading *reading = &app->readings[act_ctl_scale(ctl)];
    int64_t readable_at' 'const struct act_reading *reading = &app->readings[ACT_PLANS];
    int64_t readable_at'
mutant 'plans: what holds no value is told' services/estimator/fold.c unit/test_fold \
    '        fold_tell_above(fold, input, now, out);
' ''
mutant 'plans: a number for an app is not for its plans' services/estimator/pins.c unit/test_pins \
    'command->verb == COMMAND_UNPIN || controller->plans == NULL' 'true'
mutant 'config: what is read again reaches over a max_gap' common/config_derive.c unit/test_config \
    'window_ms > in->max_gap_ms ? window_ms : in->max_gap_ms' 'window_ms'
mutant 'plans: another ladder is another controller' common/config_derive.c unit/test_config_plans \
    'seed = hash_text(seed, plans->plans[i].name);' '(void)seed;'

# ---- leases and membership ----

groups=services/actuator/groups.c
mutant 'groups: an alias follows the first name' $groups unit/test_groups \
    'first->held && wish != LEASE_UNWANTED ? LEASE_WANTED : LEASE_UNWANTED' 'wish'
mutant 'groups: all leases of a group are held' $groups unit/test_groups \
    'names[i].first == name->first && !names[i].held' 'false'
mutant 'groups: an identity is told before anything is written' $groups unit/test_groups \
    ' || groups_must_write(name) ||' ' ||'
mutant 'groups: silence does not undo what was learned' $groups unit/test_groups \
    'name->told == GROUPS_TOLD && strcmp' 'name->told != GROUPS_UNTOLD && strcmp'
mutant 'groups: the identities are read after the taking' $groups unit/test_groups \
    '!name->held || !name->read ||' '!name->held ||'
mutant 'groups: a spare lease is not handed over at once' $groups unit/test_groups \
    '!known || (name->as_spare && now_ms - name->taken_ms < keep_ms << doubles)' '!known'
lease=common/lease.c
mutant 'lease: a foreign lease stands still for the wait' $lease unit/test_lease \
    '(lease->owned ? lease->times.wait_ms : 0)' '0'
mutant 'lease: a beat begins the wait anew' $lease unit/test_lease \
    'strcmp(beat_now, lease->seen_beat) != 0' 'false'
mutant 'lease: another epoch begins the wait anew' $lease unit/test_lease \
    'strcmp(epoch_now, lease->seen_epoch) != 0' 'false'
mutant 'lease: a reconnect begins the wait anew' $lease unit/test_lease \
    'lease->seen = false;' ''
mutant 'lease: dropped before its deadline' $lease unit/test_lease \
    'now_ms >= lease->deadline_ms - lease->times.drop_ms' 'false'
mutant 'lease: the deadline counts from the sending' $lease unit/test_lease \
    'lease_beaten(lease, lease->sent_ms, now_ms);
    } else if' 'lease_beaten(lease, now_ms, now_ms);
    } else if'
mutant 'lease: an unsure renewal renews nothing' $lease unit/test_lease \
    'if (answer == LEASE_DONE) {
        lease_beaten' 'if (answer != LEASE_FENCED) {
        lease_beaten'
mutant 'lease: a fenced renewal loses it' $lease unit/test_lease \
    'return !lease_fenced(lease, now_ms);' 'return true;'
mutant 'lease: nothing is written near the deadline' $lease unit/test_lease \
    ' && now_ms < lease->deadline_ms - lease->times.drop_ms / 2' ''
mutant 'lease: an unsure taking holds nothing' $lease unit/test_lease \
    'if (answer != LEASE_DONE) {' 'if (answer == LEASE_FENCED) {'
mutant 'lease: what is taken again is not held meanwhile' $lease unit/test_lease \
    'return lease_fenced(lease, now_ms);' 'return lease->state == LEASE_HELD;'
mutant 'lease: a spare one is left to who wants it' $lease unit/test_lease \
    '(lease->wish == LEASE_SPARE ? LEASE_SPARE_MS : 0)' '0'

share=services/estimator/share.c
mutant 'share: nothing is handed over before the others are known' $share unit/test_share \
    '!share->known || !held' '!held'
mutant 'share: who cannot lead takes nothing' $share unit/test_share \
    'held && soon ? LEASE_SPARE : LEASE_UNWANTED' 'LEASE_SPARE'
mutant 'share: a spare one is kept for a while' $share unit/test_share \
    'since_ms != SHARE_OWN && now_ms - since_ms < keep_ms(share, partition)' 'false'
mutant 'share: what comes back again is kept longer' $share unit/test_share \
    'return (SHARE_KEEP_GONES * share->gone_ms) << doubles;' \
    'return SHARE_KEEP_GONES * share->gone_ms;'
mutant 'estimator: a Redis restarted while nobody led is a break' \
    services/estimator/estimator.c integration/test_estimator \
    'grant->other_server && !grant->first' 'false'

members=common/members.c
mutant 'members: all of several at once are doubted' $members unit/test_members \
    'if (all_are_doubted(members)) {
        return;
    }' ''
mutant 'members: a broken watch begins anew' $members unit/test_members \
    'if (broken) {' 'if (false) {'
mutant 'members: an emptied hash is no farewell' $members unit/test_members \
    'member->listed || (member->emptied && member->alive)' 'member->listed'
mutant 'members: nothing is owned before all is known' $members unit/test_members \
    'bool ours = members->known;' 'bool ours = true;'
mutant 'peers: a beat that came due is owed' common/peers.c integration/test_peers \
    'peers->owed = peers->asking;' 'peers->owed = false;'
mutant 'members: the silent are gone' $members unit/test_members \
    'member->alive && still_ms(members, member) >= members->gone_ms' 'false'
mutant 'members: a stranger must be seen to move' $members unit/test_members \
    '*member = (struct member){.moved_ms = members->now_ms};' \
    '*member = (struct member){.moved_ms = members->now_ms, .alive = true};'

# ---- events: what waits to be told ----

mutant 'events: an outage of thousands of inputs is told whole' common/limits.h \
    unit/test_service_events '#define DYN_EVENTS_WAITING 4096' '#define DYN_EVENTS_WAITING 256'
mutant 'events: what is under way is not taken away' common/service_events.c \
    unit/test_service_events 'if (events->sending) {
        struct dyn_buf' 'if (false) {
        struct dyn_buf'

# ---- collectors and reporters: what falls to whom, and when ----

mutant 'collector: only what is ours is read' services/collector/poller.c \
    integration/test_collectors \
    'options->owns == NULL || options->owns(options->arg, of.input->series)' 'true'
mutant 'collector: what was taken over is read at once' services/collector/collector.c \
    integration/test_collectors \
    'begins_alone ? SCHEDULE_FIRST_MS : SCHEDULE_TAKEN_MS' 'SCHEDULE_FIRST_MS'
mutant 'collector: no goodbye is cut off' services/collector/collector.c \
    integration/test_collectors \
    '(queued == 0 && !asked)' '(queued == 0)'
mutant 'schedule: a first reading makes no gap longer than an interval' \
    services/collector/schedule.c unit/test_schedule \
    'next > item->started_ms + item->interval_ms && now_ms - half <= apart' 'false'
mutant 'reporter: nothing is delivered near the deadline' services/reporter/owner.c \
    integration/test_reporters \
    'return !place->leaving && leases_may_write(place->owner->leases, place->lease);' \
    '(void)place;
    return true;'
mutant 'reporter: errors wait for the cursor' services/reporter/feed.c \
    integration/test_reporters \
    '(!each || cursor_is_clean(feed->cursor))' '(each || !each)'
mutant 'reporter: a cursor is not written before what was told' services/reporter/cursor.c \
    integration/test_cursor \
    'size_t changed = fields_take(cursor, FIELD_SET, CURSOR_CALL_MAX, argv, &argc);
    changed += fields_take(cursor, FIELD_POSITION,' \
    'size_t changed = fields_take(cursor, FIELD_POSITION, CURSOR_CALL_MAX, argv, &argc);
    changed += fields_take(cursor, FIELD_SET,'
mutant 'reporter: what lasts is not forgotten for what is over' services/reporter/dedup.c \
    unit/test_dedup 'a->open != b->open ? b->open : a->window_ms < b->window_ms' \
    'a->window_ms < b->window_ms'
mutant 'reporter: what another held begins at its cursor' services/reporter/owner.c \
    integration/test_reporters \
    'if (!place->fresh && !grant->own_again) {' 'if (false) {'
mutant 'reporter: a delivery ends before the sink is handed over' services/reporter/owner.c \
    integration/test_reporters \
    'pinger_is_idle(place->pinger) : feed_is_idle(place->feed);' 'true : true;'
mutant 'reporter: what may not be delivered waits' services/reporter/host.c \
    unit/test_reporter_host \
    'return !host->draining && host->options.may(host->options.arg);' 'return !host->draining;'
mutant 'reporter: nor is it buried' services/reporter/host.c unit/test_reporter_host \
    'if (!host->options.may(host->options.arg)) {' 'if (false) {'

# ---- the Functions: what Redis itself refuses ----

lua=common/dyn.lua
functions=integration/test_functions
mutant 'Functions: a history is remembered once it was acted on' $lua $functions \
    'if args[3] then' 'if false then'
mutant 'Functions: a lease that moved is not taken' $lua $functions \
    'if epoch ~= seen_epoch or beat ~= seen_beat then' 'if false then'
mutant 'Functions: owner and epoch are compared' $lua $functions \
    'held[1] == owner and held[2] == epoch' 'held[1] == owner'
mutant 'Functions: an epoch never falls' $lua $functions \
    'math.max(known + 1, now_ms)' 'now_ms'
mutant 'Functions: an epoch that the taker knows is not given again' $lua $functions \
    'math.max(tonumber(epoch), tonumber(args[4]))' 'tonumber(epoch)'
mutant 'leases: an epoch that Redis lost is not used again' common/leases.c integration/test_leases \
    'epoch > kept->epoch_known ? epoch : kept->epoch_known' '0'
mutant 'Functions: a cursor never falls' $lua $functions \
    "if less(ms, last_ms) or (ms == last_ms and less(seq, last_seq)) then
        return redis" 'if false then
        return redis'
mutant 'Functions: a call is done once' $lua $functions \
    'if call == last_call then' 'if false then'
mutant 'Functions: a tick is fenced' $lua $functions \
    "    local refusal = fenced(keys[1], args[1], args[2])
    if refusal then
        return refusal
    end
    local id = redis.call('XADD', keys[2], '*', 'm', args[3])" \
    "    local id = redis.call('XADD', keys[2], '*', 'm', args[3])"
mutant 'Functions: an open intent is not overwritten' $lua $functions \
    'if open then' 'if false then'
mutant 'Functions: an intent is settled once' $lua $functions \
    "if redis.call('HEXISTS', journal, field .. ':open') == 0 then" 'if false then'
mutant 'Functions: targets are fenced' $lua $functions \
    'local answer = fenced(keys[1], args[1], args[2])
        or publish_check' 'local answer = publish_check'
mutant 'Functions: a frame is counted once' $lua $functions \
    "local new = frame ~= '' and redis.call('SISMEMBER', keys[1], frame) == 0
        and redis.call('SISMEMBER', keys[2], frame) == 0" "local new = frame ~= ''"
mutant 'Functions: a frame of the time before is known' $lua $functions \
    "
        and redis.call('SISMEMBER', keys[2], frame) == 0" ''

# ---- log drains: lines that are missing are not fewer ----

collector=services/collector
mutant 'drains: lost lines make no whole figure' $collector/figures.c unit/test_figures \
    'if (figures->sum.dropped > 0) {' 'if (false) {'
mutant 'drains: silence is no zero' $collector/figures.c unit/test_figures \
    'silence >= FIGURES_SILENT_BUCKETS && !silence_is_zero' 'false'
mutant 'drains: a loss concerns every bucket since' $collector/logplex.c unit/test_logplex \
    'tally_drop(tally, since_read(since, wall_s), wall_s, count)' \
    'tally_drop(tally, wall_s, wall_s, count)'
mutant 'drains: an app cannot speak for the router' $collector/logplex.c unit/test_logplex \
    'dyn_str_is(frame.process, "router") && dyn_str_is(frame.app, "heroku")' \
    'dyn_str_is(frame.process, "router")'
mutant 'drains: a client cannot take its request out of the count' $collector/logplex.c \
    unit/test_logplex 'dyn_str_is(key, "code") && ours' 'dyn_str_is(key, "code")'
mutant 'drains: a percentile is never too low' $collector/histogram.c unit/test_histogram \
    '(total * percent + 99) / 100' 'total * percent / 100'
mutant 'drains: a password is asked for' $collector/drain_table.c unit/test_drain_table \
    "known->password[0] == '\\0' || hash_is(known->password, password_hash)" 'true'
mutant 'drains: what is known at least covers nothing' $collector/collector.c \
    integration/test_log_drain 'int64_t age_ms = of->input->interval_ms + 1;' 'int64_t age_ms = 0;'
mutant 'drains: a batch is answered once Redis has it' $collector/drain.c \
    integration/test_log_drain 'if (is_there) {' 'if (true) {'
