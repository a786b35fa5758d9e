// DROP TABLE of published tables: see dropped_tables.cpp.
#pragma once

namespace oasync {

// Installs the object access hook. Called from _PG_init.
void InstallDroppedTables();

}  // namespace oasync
