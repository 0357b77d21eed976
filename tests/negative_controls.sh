#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# negative_controls.sh - the tests of ledger and transport must fail where one protection is left out: a budget without
# its CHECK, a slot taken without its checksum, an answer told before it is committed, WAL with synchronous NORMAL, a
# connection used again, a redirect followed. A suite that passes without them would prove nothing.
set -u
. "${TEST_SRCDIR:?}/tests/tap.sh"
cd "${TEST_BUILDDIR:?}" || exit 99

# fails CONTROL FILTER: some of these tests fail, by their own account; another end is no proof
fails()
{
	"tests/control_$1" --gtest_filter="$2" >"$folder/out" 2>&1
	status=$?
	tail -n 5 "$folder/out"
	[ $status -eq 1 ] && grep -q '^\[  FAILED  \] [1-9]' "$folder/out"
}

check 'the budget without its CHECK' fails check 'Ledger.NeverArmsMoreThanTheStageMayUse'
check 'a slot without its checksum' fails checksum 'LedgerSlot.DamagedIsInDoubt'
check 'an answer told before it is committed' fails late 'LedgerPower.CutRightAfterTheSettling'
check 'WAL with synchronous NORMAL' fails wal 'LedgerPower.CutAgainDuringRecovery'
check 'a connection used again' fails reuse 'Once.H13DroppedKeepAlive'
check 'a redirect followed' fails redirect 'H70/*'
echo "1..$cases"
