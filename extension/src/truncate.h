// TRUNCATE of published tables and of their partitions: see truncate.cpp.
#pragma once

namespace oasync {

// Installs the object access hook. Called from _PG_init.
void InstallTruncate();

// A subtransaction was rolled back, and with it the events of a TRUNCATE in it: the same command may come again.
void ForgetTruncate();

}  // namespace oasync
