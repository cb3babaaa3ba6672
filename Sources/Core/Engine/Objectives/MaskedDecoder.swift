/// The decoder of a masked autoencoder (arXiv 2111.06377): it predicts the values of hidden patches from the encoder's
/// output for the shown ones.
///
/// n images, P patches of N values, K of which are shown; T = P + 1 tokens; D = width of the encoder, W = width. The
/// tokens are the embedded outputs of the class token and of the shown patches, a learned token for each hidden patch,
/// and learned positions.
package struct MaskedDecoder: Sendable {
  package let embedding: Linear
  package let maskToken: Slot
  package let positions: Slot
  package let blocks: [EncoderBlock]
  package let norm: LayerNorm
  package let prediction: Linear
  package let configuration: MaskedConfiguration
  private let inputs: Int

  /// Adds the parameters behind outputs of `width` as the part `decoder`.
  package init(_ configuration: MaskedConfiguration, width: Int, in layout: inout Layout) {
    (self.configuration, inputs) = (configuration, width)
    let (c, tokens) = (configuration, configuration.patches + 1)
    layout.part = "decoder"
    embedding = Linear("decoder.embed", inputs: width, outputs: c.width, in: &layout)
    maskToken = layout.add("decoder.mask_token", 1, c.width, shape: [1, 1, c.width])
    positions = layout.add("decoder.pos_embed", tokens, c.width, shape: [1, tokens, c.width])
    var blocks: [EncoderBlock] = []
    for index in 0..<c.blocks { blocks.append(EncoderBlock("decoder.blocks.\(index)", c.block, in: &layout)) }
    self.blocks = blocks
    norm = LayerNorm("decoder.norm", width: c.width, in: &layout)
    prediction = Linear("decoder.pred", inputs: c.width, outputs: c.patchSize, in: &layout)
  }

  /// Xavier's uniform distribution as in MAE; tokens and positions from a normal distribution, biases 0,
  /// normalisations 1 and 0.
  package func distribution(of entry: Layout.Entry) -> Initialisation.Distribution {
    if entry.shape.count == 1 { return .constant(entry.name.hasSuffix("weight") ? 1 : 0) }
    if entry.shape.count == 3 { return .normal(deviation: 0.02) }
    return .uniform(bound: (6 / Float(entry.slot.rows + entry.slot.columns)).squareRoot())
  }

  /// The floating-point operations of an image's forward pass; only matrix products count.
  package var operations: Int {
    let (c, t) = (configuration, configuration.patches + 1)
    let block = 2 * t * c.width * (4 * c.width + 2 * c.block.hidden) + 4 * t * t * c.width
    return 2 * (c.shown + 1) * inputs * c.width + c.blocks * block + 2 * c.hidden * c.width * c.patchSize
  }

  /// The work space of a chunk of images, which goes forward and back at once.
  package struct Plan: Sendable {
    let embedded, tokens, output, hidden, predictions, target, gradient, outputGradient: Slot
    let traces: [EncoderBlock.TracePlan]
    let scratch: EncoderBlock.ScratchPlan
    let norm: LayerNorm.TracePlan

    package init(_ c: MaskedConfiguration, images n: Int, in layout: inout Layout) {
      let t = c.patches + 1
      embedded = layout.add("embedded", n * (c.shown + 1), c.width)
      tokens = layout.add("decoder tokens", n * t, c.width)
      output = layout.add("decoder output", n * t, c.width)
      hidden = layout.add("hidden tokens", n * c.hidden, c.width)
      predictions = layout.add("predictions", n * c.hidden, c.patchSize)
      target = layout.add("patches", c.patches, c.patchSize)
      gradient = layout.add("token gradients", n * t, c.width)
      outputGradient = layout.add("output gradients", n * t, c.width)
      var traces: [EncoderBlock.TracePlan] = []
      for _ in 0..<c.blocks { traces.append(EncoderBlock.TracePlan(images: n, c.block, in: &layout)) }
      self.traces = traces
      scratch = EncoderBlock.ScratchPlan(images: n, c.block, in: &layout)
      norm = LayerNorm.TracePlan(rows: n * t, width: c.width, in: &layout)
    }
  }

  /// The images of a chunk: the places of their shown patches, ascending, and their patches [P, N].
  package struct Images {
    package let count: Int
    package let shown: (_ image: Int) -> UnsafeBufferPointer<Int32>
    package let cut: (_ image: Int, _ patches: Matrix) -> Void

    package init(
      count: Int, shown: @escaping (_ image: Int) -> UnsafeBufferPointer<Int32>,
      cut: @escaping (_ image: Int, _ patches: Matrix) -> Void
    ) {
      (self.count, self.shown, self.cut) = (count, shown, cut)
    }

    /// Calls `body` with each hidden patch of an image and its number among them.
    func eachHidden(_ image: Int, of patches: Int, _ body: (_ index: Int, _ patch: Int) -> Void) {
      let shown = shown(image)
      var (next, index) = (0, 0)
      for patch in 0..<patches {
        if next < shown.count, Int(shown[next]) == patch {
          next += 1
        } else {
          body(index, patch)
          index += 1
        }
      }
    }
  }

  /// Returns the sum over the images and hidden patches of the mean squared errors of normalised patches, replaces x by
  /// the gradient of that sum times `scale`, and adds the gradients of the parameters.                x [n·(K + 1), D]
  package func loss(
    _ x: Matrix, of images: Images, scale: Float, _ plan: Plan, _ parameters: borrowing Storage,
    _ gradients: borrowing Storage, _ work: borrowing Storage
  ) -> Double {
    let (c, n, t) = (configuration, images.count, configuration.patches + 1)
    precondition(x.rows == n * (c.shown + 1), "\(x.rows) rows of \(n) images")
    let (embedded, tokens) = (work[plan.embedded].rows(0..<x.rows), work[plan.tokens].rows(0..<n * t))
    let scratch = plan.scratch.scratch(work, images: n)
    embedding.forward(x, into: embedded, parameters)
    for image in 0..<n { lay(image, of: images, embedded, into: tokens, parameters) }
    for (block, trace) in zip(blocks, plan.traces) {
      block.forward(tokens, trace.trace(work, images: 0..<n), scratch, parameters)
    }
    let output = work[plan.output].rows(0..<n * t)
    let normTrace = plan.norm.trace(work, rows: 0..<n * t)
    norm.forward(tokens, into: output, normTrace, parameters)
    let (hidden, predictions) = (
      work[plan.hidden].rows(0..<n * c.hidden), work[plan.predictions].rows(0..<n * c.hidden)
    )
    gather(images, output, into: hidden)
    prediction.forward(hidden, into: predictions, parameters)
    let loss = compare(images, predictions, work[plan.target], scale: scale)

    prediction.backward(predictions, input: hidden, into: hidden, parameters, gradients)
    let (d, dOutput) = (work[plan.gradient].rows(0..<n * t), work[plan.outputGradient].rows(0..<n * t))
    scatter(images, hidden, into: dOutput)
    Elementwise.fill(d, 0)
    norm.backward(dOutput, normTrace, adding: d, parameters, gradients)
    for (block, trace) in zip(blocks, plan.traces).reversed() {
      block.backward(
        d, trace.trace(work, images: 0..<n), scratch, throughInput: true, parameters, gradients)
    }
    for image in 0..<n { take(image, of: images, d, into: embedded, gradients) }
    // The gradient of x takes the place of x, which the weights' gradient needs before.
    embedding.backward(embedded, input: x, into: nil, parameters, gradients)
    Products.product(embedded, parameters[embedding.weight], into: x)
    return loss
  }

  /// Lays the tokens of an image: embedded outputs or the mask token, and positions.
  private func lay(
    _ image: Int, of images: Images, _ embedded: Matrix, into tokens: Matrix, _ parameters: borrowing Storage
  ) {
    let (t, count) = (configuration.patches + 1, configuration.shown + 1)
    let rows = tokens.rows(image * t..<(image + 1) * t)
    Elementwise.copy(parameters[positions], to: rows)
    let mask = parameters[maskToken].start
    images.eachHidden(image, of: configuration.patches) { _, patch in
      Elementwise.add(mask, to: rows.row(patch + 1), count: rows.columns)
    }
    Elementwise.add(embedded.row(image * count), to: rows.row(0), count: rows.columns)
    for (index, patch) in images.shown(image).enumerated() {
      Elementwise.add(
        embedded.row(image * count + 1 + index), to: rows.row(Int(patch) + 1), count: rows.columns)
    }
  }

  /// Copies the gradients of an image's embedded outputs, and adds those of the mask token and the positions.
  private func take(
    _ image: Int, of images: Images, _ d: Matrix, into embedded: Matrix, _ gradients: borrowing Storage
  ) {
    let (t, count) = (configuration.patches + 1, configuration.shown + 1)
    let rows = d.rows(image * t..<(image + 1) * t)
    Elementwise.add(rows, to: gradients[positions])
    let mask = gradients[maskToken].start
    images.eachHidden(image, of: configuration.patches) { _, patch in
      Elementwise.add(rows.row(patch + 1), to: mask, count: rows.columns)
    }
    embedded.row(image * count).update(from: rows.row(0), count: rows.columns)
    for (index, patch) in images.shown(image).enumerated() {
      embedded.row(image * count + 1 + index).update(from: rows.row(Int(patch) + 1), count: rows.columns)
    }
  }

  private func gather(_ images: Images, _ output: Matrix, into hidden: Matrix) {
    let c = configuration
    for image in 0..<images.count {
      images.eachHidden(image, of: c.patches) { index, patch in
        hidden.row(image * c.hidden + index)
          .update(from: output.row(image * (c.patches + 1) + patch + 1), count: output.columns)
      }
    }
  }

  private func scatter(_ images: Images, _ hidden: Matrix, into output: Matrix) {
    let c = configuration
    Elementwise.fill(output, 0)
    for image in 0..<images.count {
      images.eachHidden(image, of: c.patches) { index, patch in
        output.row(image * (c.patches + 1) + patch + 1)
          .update(from: hidden.row(image * c.hidden + index), count: output.columns)
      }
    }
  }

  /// Returns the sum of the mean squared errors, and replaces the predictions by the gradients of it times `scale`.
  private func compare(
    _ images: Images, _ predictions: Matrix, _ patches: Matrix, scale: Float
  ) -> Double {
    let (c, values) = (configuration, predictions.columns)
    var total = 0.0
    for image in 0..<images.count {
      images.cut(image, patches)
      images.eachHidden(image, of: c.patches) { index, patch in
        let (row, target) = (predictions.row(image * c.hidden + index), patches.row(patch))
        Self.normalise(target, values)
        for column in 0..<values {
          let difference = row[column] - target[column]
          total += Double(difference) * Double(difference) / Double(values)
          row[column] = 2 * scale * difference / Float(values)
        }
      }
    }
    return total
  }

  /// Replaces values by (value - mean) / √(variance + 1e-6), with the unbiased variance as in the code of MAE.
  private static func normalise(_ values: UnsafeMutablePointer<Float>, _ count: Int) {
    var (sum, squares) = (0.0, 0.0)
    for index in 0..<count { sum += Double(values[index]) }
    let mean = sum / Double(count)
    for index in 0..<count { squares += (Double(values[index]) - mean) * (Double(values[index]) - mean) }
    let scale = 1 / (squares / Double(max(count - 1, 1)) + 1e-6).squareRoot()
    for index in 0..<count { values[index] = Float((Double(values[index]) - mean) * scale) }
  }
}
