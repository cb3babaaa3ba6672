/// A storage that an array can hold.
package final class StorageBox {
  package let storage: Storage

  package init(_ range: Range<Int>) { storage = Storage(range) }
}
