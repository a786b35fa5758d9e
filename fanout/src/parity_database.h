// ParityDatabase: the parity auditor's lanes, as the database tells them. PostgreSQL stands behind it.
#pragma once

#include "database.h"

namespace oasync {

class ParityDatabase {
 public:
  virtual ~ParityDatabase() = default;
  // What sync_parity_overview() returns. An extension before 0.5.0, or a role without the function, answers with 42883
  // or 42501. As the other questions: from any thread, answered on one of the implementation.
  virtual void ReadParity(DocumentCallback done) = 0;
};

}  // namespace oasync
