/// A computation in the making: each operation is added behind those that its inputs come from.
struct ONNXGraph {
  private(set) var nodes: [ONNXNode] = []
  private(set) var tensors: [ONNXTensor] = []
  private var known: Set<String> = []
  /// What the outputs of the next operations are named after.
  var scope = ""

  /// An input or output of the graph.
  struct Port {
    let name: String
    /// Behind the images of the batch, of which there may be any number.
    let shape: [Int]
  }

  let input: Port
  let output: Port

  init(input: Port, output: Port) {
    (self.input, self.output) = (input, output)
    known = [input.name]
  }

  /// Adds a tensor, which nodes then know by its name.
  mutating func add(_ tensor: ONNXTensor) {
    precondition(known.insert(tensor.name).inserted, "\(tensor.name) twice")
    tensors.append(tensor)
  }

  /// Adds an operation and returns its output's name, one of its own unless it is given.
  mutating func add(
    _ operation: ONNXNode.Operator, _ inputs: String..., attributes: [ONNXNode.Attribute] = [],
    named name: String? = nil
  ) -> String {
    for input in inputs { precondition(known.contains(input), "\(input) is not there yet") }
    let output = name ?? "\(scope).\(operation.rawValue).\(nodes.count)"
    precondition(known.insert(output).inserted, "\(output) twice")
    nodes.append(ONNXNode(operation: operation, inputs: inputs, output: output, attributes: attributes))
    return output
  }

  // MARK: - Constants

  /// The name of a float, which is added once.
  mutating func constant(_ value: Float) -> String {
    constant("float.\(value)", shape: [], .floats([value]))
  }

  /// The name of an index, which is added once.
  mutating func index(_ value: Int) -> String {
    constant("index.\(value)", shape: [], .integers([Int64(value)]))
  }

  /// The name of a shape, which is added once; 0 takes the input's side.
  mutating func shape(_ sides: Int...) -> String {
    let name = "shape." + sides.map(String.init).joined(separator: ".")
    return constant(name, shape: [sides.count], .integers(sides.map(Int64.init)))
  }

  private mutating func constant(_ name: String, shape: [Int], _ values: ONNXTensor.Values) -> String {
    if !known.contains(name) { add(ONNXTensor(name: name, shape: shape, values: values)) }
    return name
  }
}
