// The SELECT that finds a published table's rows of one topic, by index where there is one.
//
// The topic's text is read backwards through the publication's template to conditions on columns. They may find more
// rows than are wanted (never fewer): whoever reads them renders topic and key again. Values are always parameters.
#pragma once

#include "document_page.h"
#include "publication.h"

extern "C" {
#include "lib/stringinfo.h"
}

namespace oasync {

constexpr int kMaxQueryParameters = 512;

// The columns that put a table's rows in an order in which pages can follow each other.
struct RowOrder {
  bool exists;  // false: the table has no key, or one that SQL can't order here
  int count;    // without those that the conditions fix: 0 when there is at most one row
  int columns[kMaxPositionValues];
};

struct TableQuery {
  bool impossible;  // no row can be of this topic (and key)
  RowOrder order;
  StringInfoData sql;  // up to WHERE (...), to be continued by AppendPageBounds
  const char* alias;
  int parameter_count;
  Oid types[kMaxQueryParameters];
  Datum values[kMaxQueryParameters];
};
OA_SYNC_POD(TableQuery);

// Builds the query for a page (or the one document of it) of an open relation, in the current context.
void BuildTableQuery(TableQuery* query, Relation rel, const TablePublication* pub, const DocumentPage& page);

// Appends position, order and limit. REQUIRES query->order.exists.
void AppendPageBounds(TableQuery* query, Relation rel, const DocumentPage& page, int64 limit);

}  // namespace oasync
