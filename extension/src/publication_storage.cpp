#include "publication_storage.h"

extern "C" {
#include "catalog/pg_class.h"
#include "utils/rel.h"
}

namespace oasync {

void CheckStorage(Relation rel) {
  if (rel->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT) {
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("published table \"%s\" is unlogged", RelationGetRelationName(rel)),
                    errdetail("Its rows do not survive a crash, and the events about them would."),
                    errhint("ALTER TABLE ... SET LOGGED, or end its publication with sync_unpublish().")));
  }
  if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE) {
    ereport(ERROR, (errcode(ERRCODE_WRONG_OBJECT_TYPE),
                    errmsg("partition \"%s\" of a published table is a foreign table", RelationGetRelationName(rel)),
                    errdetail("Its rows are written elsewhere too, and those writes can not be seen here."),
                    errhint("Detach it, or end the publication of the partitioned table with sync_unpublish().")));
  }
}

}  // namespace oasync
